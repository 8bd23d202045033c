// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The tally on disk: one row for all, and one for each group that holds anything.
///
/// It stands for the jobs with ids up to `last_id`, and lags behind the rows by some thousands of new jobs at most: a
/// commit that only takes jobs writes their own pages and no other, which is what a lonely job's answer waits for.
/// Ids rise, so a start counts the rest by looking at the newest rows. Every other commit writes the tally whole.
final class SQLiteCounts {
    private let database: Database
    private let kinds: KindNumbers
    private let writeTotal: Statement
    private let writeLast: Statement
    private let writeGroup: Statement
    private let dropGroup: Statement
    /// What the rows say and the tables do not yet.
    private var owed = Debt()
    /// The same, should the transaction that is open not become durable.
    private var owedBefore = Debt()

    private struct Debt {
        var rows = 0
        var groups: Set<JobGroup> = []
        var lastID = JobID(raw: 0)
        var tally = Tally()
    }

    /// New jobs that a start counts one by one: some milliseconds.
    private static let owedRowsMax = 4096

    init(_ database: Database, kinds: KindNumbers) throws(SpoolError) {
        self.database = database
        self.kinds = kinds
        writeTotal = try database.prepare("UPDATE tally SET finished = ?1, last_id = max(last_id, ?2)")
        writeLast = try database.prepare("UPDATE tally SET last_id = max(last_id, ?)")
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
        owed = Debt()
        owed.lastID = JobID(raw: row.integer(1))
        try countFresh(&tally)
        owedBefore = owed
        return (tally, owed.lastID)
    }

    /// Jobs that were accepted since the tally was written. A job of another spool keeps its id, whatever that is, and
    /// was counted when it was imported: it is told by its node.
    private func countFresh(_ tally: inout Tally) throws(SpoolError) {
        let fresh = try database.prepare(
            """
            SELECT id, state, queue, uid, kind, length(body) FROM jobs WHERE id > ? AND id % \(JobID.step) =
            (SELECT value + 0 FROM settings WHERE name = 'node') ORDER BY id
            """)
        fresh.bind(owed.lastID.raw, 1)
        while try fresh.step() {
            let group = JobGroup(
                queue: UInt16(truncatingIfNeeded: fresh.integer(2)), uid: UInt32(truncatingIfNeeded: fresh.integer(3)),
                kind: kinds.index(of: fresh.integer(4)))
            let state = JobState(rawValue: UInt8(clamping: fresh.integer(1))) ?? .held
            tally.add(state, jobs: 1, bytes: Int(fresh.integer(5)), in: group)
            owed.lastID = JobID(raw: fresh.integer(0))
            owed.groups.insert(group)
            owed.rows += 1
        }
        owed.tally = tally
    }

    func write(_ tally: Tally, touched: Set<JobGroup>, lastID: JobID = JobID(raw: 0)) throws(SpoolError) {
        for group in touched.union(owed.groups) { try write(group, tally) }
        writeTotal.bind(tally.finished, 1)
        writeTotal.bind(max(lastID, owed.lastID).raw, 2)
        try writeTotal.run()
        owed = Debt()
    }

    /// The same for a commit of new jobs alone; most often nothing is written.
    func note(_ rows: Int, _ tally: Tally, touched: Set<JobGroup>, lastID: JobID) throws(SpoolError) {
        owed.rows += rows
        owed.groups.formUnion(touched)
        owed.lastID = max(owed.lastID, lastID)
        owed.tally = tally
        if owed.rows > Self.owedRowsMax { try write(tally, touched: touched, lastID: lastID) }
    }

    /// The transaction has ended.
    func close(isDurable: Bool) {
        if isDurable { owedBefore = owed } else { owed = owedBefore }
    }

    /// There are new jobs that are not counted on disk.
    var isBehind: Bool { owed.rows > 0 }

    /// Counts them.
    func catchUp() throws(SpoolError) {
        for group in owed.groups { try write(group, owed.tally) }
        writeLast.bind(owed.lastID.raw, 1)
        try writeLast.run()
        owed = Debt()
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
