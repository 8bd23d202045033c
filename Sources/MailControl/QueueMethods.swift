// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import MailWire

// List and Show: read by the spool's reader, then told by the dispatcher which of the jobs are in hand.
extension ControlMethods {
    private static let listDefault = 100
    private static let listMax = 1000

    func list(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        let parameters = try Parameters(call, known: ["state", "filter", "after", "limit"])
        let state = try parameters.optionalState("state")
        let found = try FilterParameter(parameters, subject)
        if state != nil, found != nil { throw parameters.invalid("state") }
        let wanted = found ?? FilterParameter(states: state.map { [$0] } ?? [])
        let after = try parameters.optionalID("after") ?? JobID(raw: 0)
        let limit = try parameters.optionalInteger("limit", in: 1...Self.listMax) ?? Self.listDefault
        if wanted.states == [.running] { return listRunning(wanted, after, limit, answer) }
        let now = subject.clock.now()
        read(answer) { reading throws(SpoolError) in
            try reading.list(wanted.filter, at: now, after: after, limit: limit, whole: true)
        } then: { page, running in
            reply(page, of: wanted, running)
        }
    }

    /// What is running is known to the dispatcher alone, and never more than there are workers.
    private func listRunning(_ wanted: FilterParameter, _ after: JobID, _ limit: Int, _ answer: Answer) {
        let dispatcher = subject.dispatcher
        let now = subject.clock.now()
        dispatcher.loop.execute {
            let ids = dispatcher.report.workers.compactMap(\.job).filter { $0 > after }.sorted()
            read(answer) { reading throws(SpoolError) in
                var page = JobPage()
                for id in ids.prefix(limit) {
                    if let record = try reading.show(id), wanted.filter.takes(record, at: now) {
                        page.records.append(record)
                    }
                }
                if ids.count > limit { page.next = ids[limit - 1] }
                return page
            } then: { page, running in
                reply(page, of: wanted, running.union(ids))
            }
        }
    }

    func show(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        let name = try Parameters(call, known: ["id"]).string("id")
        let missing = VarlinkReply(["id": .string(name)], error: "\(ControlInterface.name).NoSuchJob")
        guard let id = JobID(name) else { return answer(missing) }
        read(answer) { reading throws(SpoolError) in
            var page = JobPage()
            if let record = try reading.show(id) { page.records.append(record) }
            return page
        } then: { page, running in
            guard let record = page.records.first else { return missing }
            return VarlinkReply(details(record, running))
        }
    }

    /// Asks the reader, then the dispatcher, then answers.
    private func read(
        _ answer: Answer,
        _ question: @escaping @Sendable (any Reading) throws(SpoolError) -> JobPage,
        then reply: @escaping @Sendable (JobPage, Set<JobID>) -> VarlinkReply
    ) {
        let dispatcher = subject.dispatcher
        subject.spool.ask { reading in
            let page: JobPage
            do throws(SpoolError) {
                page = try question(reading)
            } catch {
                return answer(Self.failed("SpoolFailed", error.message))
            }
            dispatcher.loop.execute {
                answer(reply(page, dispatcher.running(page.records.map(\.id))))
            }
        }
    }

    private func reply(_ page: JobPage, of wanted: FilterParameter, _ running: Set<JobID>) -> VarlinkReply {
        let records = page.records.filter { wanted.takes(state($0, running)) }
        var reply: JSONObject = ["jobs": .array(records.map { .object(summary($0, letterhead($0), running)) })]
        if let next = page.next { reply["next"] = .string(next.description) }
        return VarlinkReply(reply)
    }

    private func letterhead(_ record: JobRecord) -> Letterhead { Letterhead(record, subject.schema(record.kind)) }

    private func summary(_ record: JobRecord, _ letter: Letterhead, _ running: Set<JobID>) -> JSONObject {
        var object: JSONObject = [
            "id": .string(record.id.description),
            "state": .string(state(record, running).name),
            "kind": .string(subject.schema(record.kind)?.type ?? "unknown"),
            "priority": JSONValue(Int(record.priority)),
            "accepted_at": .string(record.id.time.rfc3339),
            "attempts": JSONValue(record.attempts),
            "uid": JSONValue(Int(record.uid)),
            "app": .string(subject.events.apps.name(of: record.uid)),
            "queue": .string(subject.spool.name(ofQueue: record.queue)),
            "tags": .array(letter.tags.map { .string($0) }),
            "bytes": JSONValue(record.body.count),
            "to": .array(letter.recipients.map { .string($0) }),
        ]
        if let due = record.dueAt { object["due_at"] = .string(due.rfc3339) }
        if let from = letter.sender { object["from"] = .string(from) }
        if let ref = letter.ref { object["ref"] = .string(ref) }
        if let damage = record.damage { object["damage"] = .string(damage) }
        if let reply = letter.lastReply { object["last_reply"] = .string(reply) }
        return object
    }

    private func state(_ record: JobRecord, _ running: Set<JobID>) -> JobState {
        if running.contains(record.id), !record.state.isFinal { return .running }
        if record.state == .scheduled, let due = record.dueAt, due <= subject.clock.now() { return .ready }
        return record.state
    }

    private func details(_ record: JobRecord, _ running: Set<JobID>) -> JSONObject {
        let letter = letterhead(record)
        var object: JSONObject = [
            "job": .object(summary(record, letter, running)), "history": .array(letter.history.map(entry)),
        ]
        if let expires = record.expiresAt { object["expires_at"] = .string(expires.rfc3339) }
        if let finished = record.finishedAt { object["finished_at"] = .string(finished.rfc3339) }
        if let subject = letter.subject { object["subject"] = .string(subject) }
        if let trace = letter.traceparent { object["traceparent"] = .string(trace) }
        if let key = record.key { object["idempotency_key"] = .string(String(decoding: key, as: UTF8.self)) }
        return object
    }

    private func entry(_ record: HistoryRecord) -> JSONValue {
        switch record {
        case .attempt(let attempt): return .object(Self.entry(attempt))
        case .note(let note):
            var object: JSONObject = ["at": .string(note.at.rfc3339), "event": .string(note.event)]
            if let uid = note.by { object["by"] = JSONValue(Int(uid)) }
            if let report = note.report { object["report"] = .string(report) }
            if let failed = note.failed { object["failed"] = .string(failed) }
            return .object(object)
        }
    }

    private static func entry(_ attempt: AttemptRecord) -> JSONObject {
        var object: JSONObject = [
            "at": .string(attempt.at.rfc3339), "event": "attempt",
            "seconds": .number(Double(attempt.milliseconds) / 1000),
            "relay": .string(attempt.relay),
            "fates": .array(
                attempt.fates.map { fate in
                    [
                        "recipient": .string(fate.recipient), "verdict": .string(fate.verdict),
                        "code": JSONValue(fate.reply.code), "enhanced": .string(fate.reply.enhanced),
                        "text": .string(fate.reply.text),
                    ]
                }),
        ]
        if let peer = attempt.peer { object["peer"] = .string(peer) }
        if let tls = attempt.tls { object["tls"] = .string(tls) }
        return object
    }
}
