// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Puts jobs of another spool into the file, with all that has become of them.
final class SQLiteImports {
    private let findLive: Statement
    private let findFinished: Statement
    private let insert: Statement
    private let kinds: KindNumbers
    private let lanes: LaneNumbers
    private let keys: SQLiteKeys

    init(_ database: Database, kinds: KindNumbers, lanes: LaneNumbers, keys: SQLiteKeys) throws(SpoolError) {
        self.kinds = kinds
        self.lanes = lanes
        self.keys = keys
        findLive = try database.prepare("SELECT state, body FROM jobs WHERE id = ?")
        findFinished = try database.prepare("SELECT state FROM finished WHERE id = ?")
        insert = try database.prepare(
            """
            INSERT INTO jobs (id, state, priority, kind, uid, queue, lane, due, resumes, expires, attempts_max, attempts,
            crashes, keyed, checksum, fates, history, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)
    }

    func take(_ jobs: [ImportedJob], _ tally: Tally, _ limits: SpoolLimits) throws(SpoolError) -> ImportOutcome {
        var outcome = ImportOutcome(tally: tally)
        for job in jobs where outcome.admits(job, try find(job), limits) { try append(job) }
        return outcome
    }

    private func find(_ job: ImportedJob) throws(SpoolError) -> ImportFinding {
        var found = ImportFinding()
        defer {
            findLive.reset()
            findFinished.reset()
        }
        findLive.bind(job.id.raw, 1)
        findFinished.bind(job.id.raw, 1)
        if try findLive.step() {
            found.byID = (Self.state(findLive), Array(findLive.bytes(1)))
        } else if try findFinished.step() {
            found.byID = (Self.state(findFinished), nil)
        }
        if let key = job.key { found.byKey = try keys.find(key.name, uid: job.group.uid, kind: job.group.kind) }
        return found
    }

    private static func state(_ row: Statement) -> JobState {
        JobState(rawValue: UInt8(clamping: row.integer(0))) ?? .held
    }

    private func append(_ job: ImportedJob) throws(SpoolError) {
        let lane = Lane(priority: job.priority, queue: job.group.queue, uid: job.group.uid)
        insert.bind(job.id.raw, 1)
        insert.bind(Int(job.state.rawValue), 2)
        insert.bind(Int(job.priority), 3)
        insert.bind(kinds.number(of: job.group.kind), 4)
        insert.bind(Int(job.group.uid), 5)
        insert.bind(Int(job.group.queue), 6)
        insert.bind(lanes.number(of: lane), 7)
        insert.bind(job.dueAt, 8)
        insert.bind(job.resumesAt, 9)
        insert.bind(job.expiresAt, 10)
        insert.bind(job.attemptsMax, 11)
        insert.bind(job.attempts, 12)
        insert.bind(job.crashes, 13)
        insert.bind(job.key == nil ? 0 : 1, 14)
        insert.bind(Int64(bitPattern: job.body.withUnsafeBytes { Checksum.of($0) }), 15)
        if let fates = job.fates { insert.bind(fates.map(\.rawValue), 16) } else { insert.bindNull(16) }
        insert.bind(job.history, 17)
        insert.bind(job.body, 18)
        try insert.run()
        if let key = job.key { try keys.keep(key, uid: job.group.uid, kind: job.group.kind, job: job.id) }
    }
}
