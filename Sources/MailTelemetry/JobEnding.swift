// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Systemd

/// A settled job as the log tells it.
struct JobEnding {
    let word: StaticString
    let name: WatchedEvent.Name
    let priority: Priority
    let id: StaticString
    /// Of the job's recipients, those that explain the state.
    let concerns: (Verdict) -> Bool

    init(_ state: JobState, _ verdicts: [Trial]) {
        // Out of attempts or of time, nobody need have been rejected: then those who were put off explain it.
        let hasRejected = state == .failed && verdicts.contains { $0.verdict.isRejected }
        switch state {
        case .delivered: self.init("delivered", .delivered, .info, EventID.delivered) { $0.isDelivered }
        case .ready, .scheduled, .running:
            self.init("deferred", .deferred, .notice, EventID.deferred) { !$0.isDelivered }
        case .failed:
            self.init("failed", .failed, .warning, EventID.failed) { hasRejected ? $0.isRejected : !$0.isDelivered }
        case .expired: self.init("expired", .expired, .warning, EventID.expired) { !$0.isDelivered }
        case .held: self.init("held", .held, .warning, EventID.held) { !$0.isDelivered }
        case .cancelled: self.init("cancelled", .cancelled, .notice, EventID.cancelled) { _ in false }
        }
    }

    private init(
        _ word: StaticString, _ name: WatchedEvent.Name, _ priority: Priority, _ id: StaticString,
        concerns: @escaping (Verdict) -> Bool
    ) {
        self.word = word
        self.name = name
        self.priority = priority
        self.id = id
        self.concerns = concerns
    }
}

extension Verdict {
    fileprivate var isRejected: Bool { if case .rejected = self { true } else { false } }
    fileprivate var isDelivered: Bool { if case .delivered = self { true } else { false } }
}

extension JournalLine {
    /// More recipients than these are only counted: a line is for reading.
    private static let recipientsMax = 3

    mutating func field(_ name: StaticString, _ job: JobID) {
        field(name)
        add(job)
    }

    mutating func add(_ job: JobID) {
        // Thirteen characters fit into a String without an allocation.
        add(job.description)
    }

    /// Where a `Throttle` kept others silent before this line.
    mutating func addHeld(_ count: Int) {
        if count > 0 { field("SIMILAR_BEFORE", count) }
    }

    /// `0G2Q5X7J1C0A4 deferred: b@example.com by main: 451 4.7.1 Come back later`
    mutating func tell(
        _ ending: JobEnding, of job: JobID, _ verdicts: [Trial], _ relay: String,
        showing addresses: Bool
    ) {
        message("")
        add(job)
        add(" ")
        add(ending.word)
        var count = 0
        var first: Reply?
        for entry in verdicts where ending.concerns(entry.verdict) {
            if count < Self.recipientsMax {
                add(count == 0 ? ": " : ", ")
                add(addresses ? entry.recipient : HiddenAddresses.text(entry.recipient))
            }
            if count == 0 { first = entry.verdict.reply }
            count += 1
        }
        if count > Self.recipientsMax {
            add(" and others: ")
            add(count - Self.recipientsMax)
        }
        guard let first else { return }
        add(" by ")
        add(relay)
        add(": ")
        add(first, showing: addresses)
    }

    private mutating func add(_ reply: Reply, showing addresses: Bool) {
        // Code 0 stands where no server spoke.
        if reply.code > 0 {
            add(reply.code)
            if !reply.enhanced.isEmpty || !reply.text.isEmpty { add(" ") }
        }
        add(reply.enhanced)
        if !reply.enhanced.isEmpty && !reply.text.isEmpty { add(" ") }
        add(addresses ? reply.text : HiddenAddresses.text(reply.text))
    }
}
