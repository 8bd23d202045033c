// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import PostgreSQL

/// Puts jobs of another spool into the tables, with all that has become of them.
struct PostgreSQLImports {
    let kinds: KindTable
    let keys: PostgreSQLKeys

    private static let insert = """
        INSERT INTO jobs (id, state, priority, kind, uid, queue, due, resumes, expires, attempts_max, attempts, crashes,
        keyed, fates, history, body) VALUES ($1, $2::int8, $3::int8, $4::int8, $5, $6::int8, $7, $8, $9, $10, $11, $12,
        $13::int8, $14, $15, $16)
        """
    private static let insertKey = """
        INSERT INTO keys (uid, kind, name, job, digest) VALUES ($1, $2::int8, $3, $4, $5)
        """

    func take(
        _ jobs: [ImportedJob], _ limits: SpoolLimits, _ outcome: inout ImportOutcome, _ delta: inout CountDelta,
        _ link: Link
    ) throws(SpoolError) {
        for job in jobs where outcome.admits(job, try find(job, link), limits) {
            try link.run(queries(job))
            delta.add(job.state, jobs: 1, bytes: job.body.count, in: job.group)
        }
    }

    private func find(_ job: ImportedJob, _ link: Link) throws(SpoolError) -> ImportFinding {
        var found = ImportFinding()
        let rows = try link.run([
            Query("SELECT state, body FROM jobs WHERE id = $1", [.integer(job.id.raw)]),
            Query("SELECT state FROM finished WHERE id = $1", [.integer(job.id.raw)]),
        ])
        if rows[0].count == 1 {
            found.byID = (Self.state(rows[0]), Array(rows[0].bytes(0, 1)))
        } else if rows[1].count == 1 {
            found.byID = (Self.state(rows[1]), nil)
        }
        if let key = job.key { found.byKey = try keys.find(key.name, uid: job.group.uid, kind: job.group.kind, link) }
        return found
    }

    private static func state(_ rows: Rows) -> JobState {
        JobState(rawValue: UInt8(clamping: rows.integer(0, 0))) ?? .held
    }

    private func queries(_ job: ImportedJob) -> [Query] {
        let kind = kinds.number(of: job.group.kind)
        let uid = Int64(job.group.uid)
        let insert = Query(
            Self.insert,
            [
                .integer(job.id.raw), .integer(Int64(job.state.rawValue)), .integer(Int64(job.priority)),
                .integer(kind), .integer(uid), .integer(Int64(job.group.queue)), .integer(job.dueAt?.milliseconds),
                .integer(job.resumesAt?.milliseconds), .integer(job.expiresAt.milliseconds),
                .integer(job.attemptsMax), .integer(job.attempts), .integer(job.crashes),
                .integer(job.key == nil ? 0 : 1), .bytes(job.fates.map { $0.map(\.rawValue) }), .bytes(job.history),
                .bytes(job.body),
            ])
        guard let key = job.key else { return [insert] }
        let place: [Parameter] = [.integer(uid), .integer(kind), .bytes(key.name)]
        return [insert, Query(Self.insertKey, place + [.integer(job.id.raw), .bytes(key.digest)])]
    }
}
