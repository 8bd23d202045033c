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

    func list(_ call: VarlinkCall, _ answer: @escaping Answer) throws(ServiceError) {
        let parameters = try Parameters(call, known: ["state", "after", "limit"])
        let state = try parameters.optionalState("state")
        let after = try parameters.optionalID("after") ?? JobID(raw: 0)
        let limit = try parameters.optionalInteger("limit", in: 1...Self.listMax) ?? Self.listDefault
        if state == .running { return listRunning(after, limit, answer) }
        let now = subject.clock.now()
        read(answer) { reading throws(SpoolError) in
            try reading.list(state: state, at: now, after: after, limit: limit + 1)
        } then: { records, running in
            // A page that large bodies have filled ends early, and says where to go on.
            let isFull = records.reduce(0) { $0 + $1.body.count } >= Limits.listBytesMax
            return page(Array(records.prefix(limit)), hasMore: isFull || records.count > limit, running)
        }
    }

    /// What is running is known to the dispatcher alone, and never more than there are workers.
    private func listRunning(_ after: JobID, _ limit: Int, _ answer: @escaping Answer) {
        let dispatcher = subject.dispatcher
        dispatcher.loop.execute {
            let ids = dispatcher.report.workers.compactMap(\.job).filter { $0 > after }.sorted()
            read(answer) { reading throws(SpoolError) in
                var records: [JobRecord] = []
                for id in ids.prefix(limit) {
                    if let record = try reading.show(id) { records.append(record) }
                }
                return records
            } then: { records, running in
                page(records, hasMore: ids.count > limit, running.union(ids))
            }
        }
    }

    func show(_ call: VarlinkCall, _ answer: @escaping Answer) throws(ServiceError) {
        let name = try Parameters(call, known: ["id"]).string("id")
        let missing = VarlinkReply(["id": .string(name)], error: "\(ControlInterface.name).NoSuchJob")
        guard let id = JobID(name) else { return answer(missing) }
        read(answer) { reading throws(SpoolError) in
            try reading.show(id).map { [$0] } ?? []
        } then: { records, running in
            guard let record = records.first else { return missing }
            return VarlinkReply(details(record, running))
        }
    }

    /// Asks the reader, then the dispatcher, then answers.
    private func read(
        _ answer: @escaping Answer,
        _ question: @escaping @Sendable (any Reading) throws(SpoolError) -> [JobRecord],
        then reply: @escaping @Sendable ([JobRecord], Set<JobID>) -> VarlinkReply
    ) {
        let dispatcher = subject.dispatcher
        subject.spool.ask { reading in
            let records: [JobRecord]
            do throws(SpoolError) {
                records = try question(reading)
            } catch {
                return answer(Self.failed("SpoolFailed", error.message))
            }
            dispatcher.loop.execute {
                answer(reply(records, dispatcher.running(records.map(\.id))))
            }
        }
    }

    private func page(_ records: [JobRecord], hasMore: Bool, _ running: Set<JobID>) -> VarlinkReply {
        var reply: JSONObject = ["jobs": .array(records.map { .object(summary($0, running)) })]
        if hasMore, let last = records.last { reply["next"] = .string(last.id.description) }
        return VarlinkReply(reply)
    }

    private func summary(_ record: JobRecord, _ running: Set<JobID>) -> JSONObject {
        let schema = subject.schema(record.kind)
        let letter = Letterhead(record, schema)
        var object: JSONObject = [
            "id": .string(record.id.description),
            "state": .string(state(record, running).name),
            "kind": .string(schema?.type ?? "unknown"),
            "priority": JSONValue(Int(record.priority)),
            "accepted_at": .string(record.id.time.rfc3339),
            "attempts": JSONValue(record.attempts),
            "uid": JSONValue(Int(record.uid)),
            "bytes": JSONValue(record.body.count),
            "to": .array(letter.recipients.map { .string($0) }),
        ]
        if let due = record.dueAt { object["due_at"] = .string(due.rfc3339) }
        if let from = letter.sender { object["from"] = .string(from) }
        if let ref = letter.ref { object["ref"] = .string(ref) }
        if let reply = letter.lastReply { object["last_reply"] = .string(reply) }
        return object
    }

    private func state(_ record: JobRecord, _ running: Set<JobID>) -> JobState {
        if running.contains(record.id), !record.state.isFinal { return .running }
        if record.state == .scheduled, let due = record.dueAt, due <= subject.clock.now() { return .ready }
        return record.state
    }

    private func details(_ record: JobRecord, _ running: Set<JobID>) -> JSONObject {
        let letter = Letterhead(record, subject.schema(record.kind))
        var object: JSONObject = [
            "job": .object(summary(record, running)), "history": .array(letter.attempts.map(attempt)),
        ]
        if let expires = record.expiresAt { object["expires_at"] = .string(expires.rfc3339) }
        if let finished = record.finishedAt { object["finished_at"] = .string(finished.rfc3339) }
        if let subject = letter.subject { object["subject"] = .string(subject) }
        return object
    }

    private func attempt(_ attempt: AttemptRecord) -> JSONValue {
        var object: JSONObject = [
            "at": .string(attempt.at.rfc3339), "seconds": .number(Double(attempt.milliseconds) / 1000),
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
        return .object(object)
    }
}
