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
