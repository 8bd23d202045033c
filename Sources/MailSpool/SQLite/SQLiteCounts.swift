// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The tally on disk: one row for all, and one for each group that holds anything.
final class SQLiteCounts {
    private let database: Database
    private let kinds: KindNumbers
    private let writeTotal: Statement
    private let writeGroup: Statement
    private let dropGroup: Statement

    init(_ database: Database, kinds: KindNumbers) throws(SpoolError) {
        self.database = database
        self.kinds = kinds
        writeTotal = try database.prepare("UPDATE tally SET finished = ?1, last_id = max(last_id, ?2)")
        writeGroup = try database.prepare("INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        dropGroup = try database.prepare("DELETE FROM counts WHERE queue = ? AND uid = ? AND kind = ?")
    }

    func read() throws(SpoolError) -> (tally: Tally, lastID: JobID) {
        let row = try database.prepare("SELECT finished, last_id FROM tally")
        guard try row.step() else { throw .corrupt(message: "\(database.path): the tally is missing") }
        var tally = Tally()
        tally.finished = Int(row.integer(0))
        let rows = try database.prepare(
            "SELECT queue, uid, kind, ready, scheduled, held, failed, bytes FROM counts")
        while try rows.step() {
            let group = JobGroup(
                queue: UInt16(truncatingIfNeeded: rows.integer(0)), uid: UInt32(truncatingIfNeeded: rows.integer(1)),
                kind: kinds.index(of: rows.integer(2)))
            var count = GroupCount()
            count.ready = Int(rows.integer(3))
            count.scheduled = Int(rows.integer(4))
            count.held = Int(rows.integer(5))
            count.failed = Int(rows.integer(6))
            count.bytes = Int(rows.integer(7))
            tally.add(count, in: group)
        }
        return (tally, JobID(raw: row.integer(1)))
    }

    /// Under which `settings` asks the next start for a recount.
    static let recountSetting = "recount"

    /// The tally and a row disagree, by damage to either: the next start counts all rows.
    static func wantRecount(_ database: Database) throws(SpoolError) {
        try database.execute("INSERT OR REPLACE INTO settings VALUES ('\(recountSetting)', 'yes')")
    }

    /// What the tally should be, from every row: a second or two for a million jobs. Damaged rows that nobody can write
    /// are held all the same, and those that are left over are not counted.
    ///
    /// Materialized, or SQLite would sort the bodies themselves, and come upon broken pages:
    /// https://sqlite.org/lang_with.html#materialization_hints
    static func recount(_ database: Database) throws(SpoolError) {
        try database.execute(
            """
            BEGIN IMMEDIATE;
            DELETE FROM counts;
            WITH rows AS MATERIALIZED (
              SELECT queue, uid, kind, length(body) AS bytes,
              CASE WHEN damaged.id IS NULL THEN state ELSE 2 END AS stands
              FROM jobs LEFT JOIN damaged ON damaged.id = jobs.id WHERE coalesce(damaged.ended, 0) = 0
            )
            INSERT INTO counts
              SELECT queue, uid, kind, sum(stands = 0), sum(stands = 1), sum(stands = 2), sum(stands = 3), sum(bytes)
              FROM rows GROUP BY queue, uid, kind;
            INSERT OR IGNORE INTO tally VALUES (1, 0, 0);
            UPDATE tally SET finished = (SELECT count(*) FROM finished), last_id = max(
              last_id, (SELECT coalesce(max(id), 0) FROM jobs), (SELECT coalesce(max(id), 0) FROM finished));
            INSERT OR IGNORE INTO settings SELECT 'main_uid', uid FROM jobs WHERE lane = 0 LIMIT 1;
            DELETE FROM settings WHERE name = '\(recountSetting)';
            COMMIT
            """)
    }

    func write(_ tally: Tally, touched: Set<JobGroup>, lastID: JobID = JobID(raw: 0)) throws(SpoolError) {
        for group in touched { try write(group, tally) }
        writeTotal.bind(tally.finished, 1)
        writeTotal.bind(lastID.raw, 2)
        try writeTotal.run()
    }

    private func write(_ group: JobGroup, _ tally: Tally) throws(SpoolError) {
        let key = [Int64(group.queue), Int64(group.uid), kinds.number(of: group.kind)]
        guard let count = tally.groups[group] else {
            for (index, value) in key.enumerated() { dropGroup.bind(value, CInt(index + 1)) }
            return try dropGroup.run()
        }
        let values = [count.ready, count.scheduled, count.held, count.failed, count.bytes].map(Int64.init)
        for (index, value) in (key + values).enumerated() { writeGroup.bind(value, CInt(index + 1)) }
        try writeGroup.run()
    }
}
