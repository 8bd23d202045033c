// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailTelemetry
import MailWire
import NIOCore
import Synchronization

// Watch: what happens, as it happens.
extension ControlMethods {
    func watch(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        let parameters = try Parameters(call, known: ["ids", "queue", "states"])
        let ids = try parameters.optionalList("ids") { $0.string.flatMap { JobID($0) } }
        let states = try parameters.optionalList("states") { $0.string.flatMap { JobState(name: $0) } }
        let queue = try parameters.optionalString("queue")
        let number = queue.flatMap { subject.spool.queues[$0] }
        if queue != nil, number == nil { throw parameters.invalid("queue") }
        guard answer.wantsMore else { throw .expectedMore }
        let filter = WatchFilter(jobs: ids.map { Set($0) }, queue: number, states: states.map { Set($0) })
        WatchRun(subject, answer).begin(filter)
    }
}

/// One operator who watches. Events go out as fast as the connection takes them; what is too much for its room is
/// missed, and told as a number.
private final class WatchRun: Sendable {
    private let subject: ControlSubject
    private let answer: Answer
    private let state = Mutex(State())

    private struct State {
        var watcher: Watcher?
        /// A reply waits for room.
        var isSending = false
        /// Taken, and not sent yet.
        var events: ArraySlice<WatchedEvent> = []
        var missed = 0
    }

    /// Events in one reply.
    private static let eventsMax = 256

    init(_ subject: ControlSubject, _ answer: Answer) {
        self.subject = subject
        self.answer = answer
    }

    func begin(_ filter: WatchFilter) {
        let watchers = subject.events.watchers
        let loop = answer.loop
        // Not on the thread where things happen: that one has better to do than to write JSON.
        let watcher = watchers.add(filter) { [self] in loop.execute { [self] in pump() } }
        guard let watcher else {
            let limit: JSONObject = ["limit": JSONValue(Watchers.countMax)]
            return answer(VarlinkReply(limit, error: "\(ControlInterface.name).TooManyWatchers"))
        }
        state.withLock { state in
            state.watcher = watcher
            state.isSending = true
        }
        answer.caller.whenGone { watchers.remove(watcher) }
        // Says that nothing is missed from here on.
        send([], missed: 0)
    }

    private func pump() {
        let batch: (events: ArraySlice<WatchedEvent>, missed: Int)? = state.withLock { state in
            guard !state.isSending, let watcher = state.watcher else { return nil }
            if state.events.isEmpty {
                let (events, missed) = watcher.take()
                state.events = events[...]
                state.missed += missed
            }
            guard !state.events.isEmpty || state.missed > 0 else { return nil }
            state.isSending = true
            let events = state.events.prefix(Self.eventsMax)
            state.events = state.events.dropFirst(events.count)
            // They were missed behind those that were kept.
            defer { if state.events.isEmpty { state.missed = 0 } }
            return (events, state.events.isEmpty ? state.missed : 0)
        }
        if let batch { send(batch.events, missed: batch.missed) }
    }

    private func send(_ events: ArraySlice<WatchedEvent>, missed: Int) {
        let parameters: JSONObject = [
            "events": .array(events.map { .object(describe($0)) }), "missed": JSONValue(missed),
        ]
        answer.more(parameters) { [self] in
            state.withLock { $0.isSending = false }
            pump()
        }
    }

    private func describe(_ event: WatchedEvent) -> JSONObject {
        var object: JSONObject = ["at": .string(event.at.rfc3339), "event": .string(event.name.rawValue)]
        if let job = event.job { object["job"] = .string(job.description) }
        if let kind = event.kind, kind < subject.kinds.count { object["kind"] = .string(subject.kinds[kind]) }
        if let queue = event.queue { object["queue"] = .string(subject.spool.name(ofQueue: queue)) }
        if let state = event.state { object["state"] = .string(state.name) }
        if let attempts = event.attempts { object["attempts"] = JSONValue(attempts) }
        if let relay = event.relay { object["relay"] = .string(relay) }
        if let detail = event.detail { object["detail"] = .string(detail) }
        if !event.verdicts.isEmpty { object["fates"] = .array(event.verdicts.map(Self.fate)) }
        if let uid = event.by { object["by"] = JSONValue(Int(uid)) }
        if let report = event.report { object["report"] = .string(report.description) }
        if let workers = event.workers { object["workers"] = JSONValue(workers) }
        return object
    }

    private static func fate(_ trial: Trial) -> JSONValue {
        let reply = trial.verdict.reply
        return [
            "recipient": .string(trial.recipient), "verdict": .string(trial.verdict.name),
            "code": JSONValue(reply.code), "enhanced": .string(reply.enhanced), "text": .string(reply.text),
        ]
    }
}
