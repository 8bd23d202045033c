// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import MailWire

// What operators do to jobs, and to the queue as a whole.
extension ControlMethods {
    func change(_ verb: JobChange, _ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        let parameters = try Parameters(call, known: ["ids", "filter", "dry_run"])
        let isDryRun = try parameters.optionalBool("dry_run") ?? false
        let ids = try parameters.optionalList("ids") { $0.string.flatMap { JobID($0) } }
        let found = try FilterParameter(parameters, subject)
        let source: ChangeRun.Source
        switch (ids, found) {
        // Twice the same would be told as changed and as unchanged.
        case (let ids?, nil): source = .ids(Set(ids).sorted()[...])
        case (nil, let found?): source = .filter(filter(found, for: verb), after: JobID(raw: 0))
        default: throw parameters.invalid(ids == nil ? "ids" : "filter")
        }
        ChangeRun(verb, source, isDryRun: isDryRun, subject, answer).begin()
    }

    /// Jobs that come in while the verb is under way are none of its business: on a busy queue it would never end.
    private func filter(_ found: FilterParameter, for verb: JobChange) -> JobFilter {
        var filter = found.filter
        let next = subject.clock.now() + 0.001
        filter.before = filter.before.map { min($0, next) } ?? next
        if filter.states.isEmpty { filter.states = verb.usualStates }
        return filter
    }

    func pause(_ paused: Bool, _ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        let parameters = try Parameters(call, known: ["queue"])
        let name = try parameters.optionalString("queue")
        let number = name.flatMap { subject.spool.queues[$0] }
        if name != nil, number == nil { throw parameters.invalid("queue") }
        let (dispatcher, spool) = (subject.dispatcher, subject.spool)
        dispatcher.loop.execute {
            let before =
                if let name, let number {
                    dispatcher.pause(paused, queue: number, name: name)
                } else {
                    dispatcher.pause(paused)
                }
            let reply = VarlinkReply(["paused": .bool(paused), "was_paused": .bool(before)])
            spool.kept { answer(Self.reply(reply, unless: $0)) }
        }
    }

    /// What took effect and would be forgotten by a restart is no success.
    static func reply(_ reply: VarlinkReply, unless error: SpoolError?) -> VarlinkReply {
        guard let error else { return reply }
        return failed("SpoolFailed", "it is in effect, but a restart would forget it: \(error.message)")
    }

    func drain(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        let isOn = try Parameters(call, known: ["on"]).optionalBool("on") ?? true
        let events = subject.events
        subject.drain(isOn) { was in
            if was != isOn { events.draining(isOn, by: answer.caller.uid) }
            answer(VarlinkReply(["draining": .bool(isOn), "was_draining": .bool(was)]))
        }
    }
}

extension JobChange {
    /// Whom a filter without states means: those for whom the verb is made, and never more than its name says.
    fileprivate var usualStates: Set<JobState> {
        switch self {
        case .retry, .purge: [.failed]
        case .cancel: [.ready, .scheduled, .held, .failed]
        case .hold: [.ready, .scheduled]
        case .release: [.held]
        }
    }
}
