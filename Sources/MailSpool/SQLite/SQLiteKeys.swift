// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Idempotency keys, kept in their jobs' own transaction.
final class SQLiteKeys {
    private let lookUp: Statement
    private let insert: Statement
    private let finish: Statement
    private let prune: Statement
    private let anyFinished: Statement
    private let kinds: KindNumbers

    init(_ database: Database, kinds: KindNumbers) throws(SpoolError) {
        self.kinds = kinds
        // A job that is in neither table was purged or forgotten: then the key remembers its end.
        lookUp = try database.prepare(
            """
            SELECT keys.job, keys.digest, coalesce(jobs.state, keys.state) FROM keys
            LEFT JOIN jobs ON jobs.id = keys.job WHERE keys.uid = ?1 AND keys.kind = ?2 AND keys.name = ?3
            """)
        insert = try database.prepare("INSERT INTO keys (uid, kind, name, job, digest) VALUES (?, ?, ?, ?, ?)")
        finish = try database.prepare("UPDATE keys SET finished_at = ?2, state = ?3 WHERE job = ?1")
        prune = try database.prepare(
            """
            DELETE FROM keys WHERE (uid, kind, name) IN
            (SELECT uid, kind, name FROM keys WHERE finished_at < ? LIMIT ?)
            """)
        anyFinished = try database.prepare("SELECT 1 FROM keys WHERE finished_at IS NOT NULL LIMIT 1")
    }

    func find(_ name: [UInt8], uid: UInt32, kind: UInt8) throws(SpoolError) -> KnownKey? {
        defer { lookUp.reset() }
        lookUp.bind(Int(uid), 1)
        lookUp.bind(kinds.number(of: kind), 2)
        lookUp.bind(name, 3)
        guard try lookUp.step() else { return nil }
        let state = lookUp.isNull(2) ? nil : JobState(rawValue: UInt8(clamping: lookUp.integer(2)))
        return KnownKey(
            job: Repeat(id: JobID(raw: lookUp.integer(0)), state: state ?? .ready), digest: Array(lookUp.bytes(1)))
    }

    func keep(_ key: IdempotencyKey, uid: UInt32, kind: UInt8, job: JobID) throws(SpoolError) {
        insert.bind(Int(uid), 1)
        insert.bind(kinds.number(of: kind), 2)
        insert.bind(key.name, 3)
        insert.bind(job.raw, 4)
        insert.bind(key.digest, 5)
        try insert.run()
    }

    /// From here on the key is kept for `Limits.keySeconds`.
    func finish(_ job: JobID, _ state: JobState, at time: WallTime) throws(SpoolError) {
        finish.bind(job.raw, 1)
        finish.bind(time, 2)
        finish.bind(Int(state.rawValue), 3)
        try finish.run()
    }

    /// Returns how many were forgotten.
    func prune(finishedBefore time: WallTime, limit: Int, in database: Database) throws(SpoolError) -> Int {
        prune.bind(time, 1)
        prune.bind(limit, 2)
        try prune.run()
        return database.changes
    }

    func hasFinished() throws(SpoolError) -> Bool {
        defer { anyFinished.reset() }
        return try anyFinished.step()
    }
}
