// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailWire

/// The parameter `filter` of several methods: docs/protocol.md, type JobFilter.
struct FilterParameter: Sendable {
    /// As the spool's reader understands it: a running job is `ready` there.
    var filter: JobFilter
    /// As the caller gave them; empty: all that are not finished.
    let states: Set<JobState>

    private static let known = [
        "states", "queue", "uids", "kind", "accepted_since", "accepted_before", "to", "from", "tag",
    ]

    /// nil where the call has none.
    init?(_ parameters: Parameters, _ subject: ControlSubject) throws(ServiceError) {
        guard let parameters = try parameters.object("filter", known: Self.known) else { return nil }
        let states = try parameters.optionalList("states") { $0.string.flatMap { JobState(name: $0) } } ?? []
        self.init(states: Set(states))
        if let name = try parameters.optionalString("queue") {
            guard let number = subject.spool.queues[name] else { throw parameters.invalid("queue") }
            filter.queue = number
        }
        if let name = try parameters.optionalString("kind") {
            guard let index = subject.kinds.firstIndex(of: name) else { throw parameters.invalid("kind") }
            filter.kind = UInt8(index)
        }
        filter.uids = try parameters.optionalList("uids") { $0.int.flatMap { UInt32(exactly: $0) } }.map { Set($0) }
        filter.since = try parameters.optionalTime("accepted_since")
        filter.before = try parameters.optionalTime("accepted_before")
        let wanted = WantedLetter(
            to: try parameters.optionalString("to")?.lowercased(),
            from: try parameters.optionalString("from")?.lowercased(), tag: try parameters.optionalString("tag"))
        if !wanted.isAny { filter.letter = { wanted.takes(Letterhead($0, subject.schema($0.kind))) } }
    }

    init(states: Set<JobState> = []) {
        self.states = states
        filter = JobFilter(states: states.contains(.running) ? states.subtracting([.running]).union([.ready]) : states)
    }

    /// Whether a job that the reader found is meant, by how it really stands.
    func takes(_ state: JobState) -> Bool { states.isEmpty || states.contains(state) }
}

/// What is asked of a job's addresses and marks.
private struct WantedLetter: Sendable {
    /// Part of an address, in small letters.
    var to: String?
    var from: String?
    var tag: String?

    var isAny: Bool { to == nil && from == nil && tag == nil }

    func takes(_ letter: Letterhead) -> Bool {
        if let to, !letter.recipients.contains(where: { $0.lowercased().contains(to) }) { return false }
        if let from, !(letter.sender?.lowercased().contains(from) ?? false) { return false }
        return tag.map { letter.tags.contains($0) } ?? true
    }
}
