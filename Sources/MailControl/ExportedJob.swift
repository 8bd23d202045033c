// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailWire

/// A whole job on its way from one spool to another: docs/protocol.md, type ExportedJob.
enum ExportedJob {
    /// Of what this maild writes; another is refused, for it may mean something else.
    static let format = 1
    /// Clocks of two machines may differ, but a later id would make all that follow it later too.
    private static let secondsAheadMax = 86_400.0

    private static let known = [
        "format", "id", "state", "kind", "queue", "priority", "uid", "app", "due_at", "resumes_at", "expires_at",
        "attempts", "attempts_max", "crashes", "fates", "history", "line",
    ]

    // MARK: Writing

    static func json(_ record: JobRecord, _ subject: ControlSubject) -> JSONObject {
        let history = record.history.split(separator: UInt8(ascii: "\n")).compactMap { try? JSONValue(parsing: $0) }
        var object: JSONObject = [
            "format": JSONValue(format),
            "id": .string(record.id.description),
            "state": .string(record.state.name),
            "kind": .string(subject.schema(record.kind)?.type ?? "unknown"),
            "queue": .string(subject.spool.name(ofQueue: record.queue)),
            "priority": JSONValue(Int(record.priority)),
            "uid": JSONValue(Int(record.uid)),
            "app": .string(subject.events.apps.name(of: record.uid)),
        ]
        for (name, time) in [
            ("due_at", record.dueAt), ("resumes_at", record.resumesAt), ("expires_at", record.expiresAt),
        ] {
            if let time { object[name] = .string(time.rfc3339) }
        }
        object["attempts"] = JSONValue(record.attempts)
        if record.attemptsMax > 0 { object["attempts_max"] = JSONValue(record.attemptsMax) }
        if record.crashes > 0 { object["crashes"] = JSONValue(record.crashes) }
        if let fates = record.fates { object["fates"] = .array(fates.map { .string($0.name) }) }
        if !history.isEmpty { object["history"] = .array(history) }
        object["line"] = .string(String(decoding: record.body, as: UTF8.self))
        return object
    }

    // MARK: Reading

    /// Why a job cannot be imported, in words that begin with the field's name.
    struct Refusal: Error {
        let id: JobID?
        let reason: String
    }

    /// - Parameter held: it is not to be worked on until an operator releases it.
    static func read(
        _ object: JSONObject, held: Bool, by uid: UInt32, _ subject: ControlSubject
    ) throws(Refusal) -> ImportedJob {
        let id = object["id"]?.string.flatMap { JobID($0) }
        do throws(ServiceError) {
            let fields = try Parameters(object, known: known)
            _ = try fields.integer("format", in: format...format)
            return try job(fields, held: held, by: uid, subject)
        } catch {
            throw Refusal(id: id, reason: reason(error))
        }
    }

    private static func reason(_ error: ServiceError) -> String {
        let field = error.parameters["parameter"]?.string ?? ""
        return field.contains(":") ? field : "\(field): is missing, unknown here, or not of the form it must have"
    }

    private static func job(
        _ fields: Parameters, held: Bool, by uid: UInt32, _ subject: ControlSubject
    ) throws(ServiceError) -> ImportedJob {
        let now = subject.clock.now()
        guard let id = try fields.optionalID("id") else { throw fields.invalid("id") }
        guard id.time <= now + secondsAheadMax else { throw .invalidParameter("id: lies in the future") }
        let (line, body) = try line(fields, acceptedAt: id.time, subject)
        guard let queue = subject.spool.queues[try fields.string("queue")] else { throw fields.invalid("queue") }
        let user = try fields.integer("uid", in: 0...Int(UInt32.max))
        let app = try fields.string("app")
        guard let expires = try fields.optionalTime("expires_at") else { throw fields.invalid("expires_at") }
        let group = JobGroup(
            queue: queue, uid: subject.events.apps.user(UInt32(user), ofApp: app), kind: UInt8(line.kind))
        var job = ImportedJob(id: id, group: group, state: .scheduled, expiresAt: expires, body: body)
        job.priority = UInt8(try fields.integer("priority", in: 0...Limits.priorityMax))
        job.attempts = try fields.optionalInteger("attempts", in: 0...Int(Int32.max)) ?? 0
        job.attemptsMax = try fields.optionalInteger("attempts_max", in: 1...Limits.attemptsMax) ?? 0
        job.crashes = try fields.optionalInteger("crashes", in: 0...Limits.crashesMax) ?? 0
        job.key = line.key
        job.fates = try fields.optionalList("fates") { $0.string.flatMap { Fate(name: $0) } }
        if let count = job.fates?.count, count > line.recipients { throw fields.invalid("fates") }
        job.history = try history(fields) + NoteRecord(at: now, event: "imported", by: uid).line
        try stand(&job, fields, held: held, now)
        return job
    }

    /// How it stands, and until when.
    private static func stand(
        _ job: inout ImportedJob, _ fields: Parameters, held: Bool, _ now: WallTime
    ) throws(ServiceError) {
        let due = try fields.optionalTime("due_at")
        switch try fields.optionalState("state") {
        case .ready, .running: job.dueAt = max(now, due ?? now)
        case .scheduled:
            guard let due else { throw fields.invalid("due_at") }
            job.dueAt = due
        case .held:
            job.state = .held
            job.resumesAt = try fields.optionalTime("resumes_at")
        case .failed: job.state = .failed
        default: throw fields.invalid("state")
        }
        guard held, job.state == .scheduled else { return }
        (job.state, job.resumesAt, job.dueAt) = (.held, job.dueAt, nil)
    }

    /// The line is judged as it was when it was submitted, but for what only its app may not do.
    private static func line(
        _ fields: Parameters, acceptedAt: WallTime, _ subject: ControlSubject
    ) throws(ServiceError) -> (JobLine, [UInt8]) {
        let body = Array(try fields.string("line").utf8)
        guard !body.contains(UInt8(ascii: "\n")) else { throw .invalidParameter("line: has a line break") }
        var reader = JobReader(
            schemas: subject.schemas, limits: JobLimits(recipientsMax: Int.max, queues: subject.spool.queues))
        do throws(WireError) {
            let line = try body.withUnsafeBufferPointer { (bytes) throws(WireError) in
                try reader.read(UnsafeRawBufferPointer(bytes), now: acceptedAt)
            }
            return (line, body)
        } catch {
            throw .invalidParameter("line: \(error.message)")
        }
    }

    private static func history(_ fields: Parameters) throws(ServiceError) -> [UInt8] {
        let lines = try fields.optionalList("history") { (entry: JSONValue) -> [UInt8]? in
            let line = Array(entry.text.utf8) + [UInt8(ascii: "\n")]
            return HistoryRecord.parse(line).count == 1 ? line : nil
        }
        return Array((lines ?? []).joined())
    }
}
