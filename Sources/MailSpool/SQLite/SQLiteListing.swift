// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Goes through the jobs that a filter may mean, in the order of their ids, however many tables they are spread over.
///
/// What a page costs is bounded by the rows that it looks at, not by those that it takes: conditions are judged here,
/// row by row, and not in SQL, where one that takes nothing would go to the end of the table.
final class SQLiteListing {
    /// Columns as `JobRecord.init` reads them. The long ones are read of jobs that are taken, and of no others.
    static let live = """
        SELECT id, state, kind, priority, uid, queue, attempts, crashes, due, expires, NULL, attempts_max, resumes, fates,
        CASE WHEN unreadable(id) THEN x'' ELSE body END, CASE WHEN unreadable(id) THEN x'' ELSE history END FROM jobs
        """
    static let finished = """
        SELECT id, state, kind, \(Limits.priorityDefault), uid, queue, attempts, 0, NULL, NULL, finished_at, 0, NULL,
        NULL, x'', history FROM finished
        """

    private let kinds: KindNumbers
    private let rows: UnreadableRows
    private let all: Statement
    private let held: Statement
    private let failed: Statement
    private let ended: Statement

    init(_ database: Database, kinds: KindNumbers, rows: UnreadableRows) throws(SpoolError) {
        self.kinds = kinds
        self.rows = rows
        all = try database.prepare("\(Self.live) WHERE id > ?1 AND id < ?2 ORDER BY id")
        held = try database.prepare(Self.aside(.held))
        failed = try database.prepare(Self.aside(.failed))
        ended = try database.prepare("\(Self.finished) WHERE id > ?1 AND id < ?2 ORDER BY id")
    }

    /// The first term lets the planner take the index of those set aside.
    private static func aside(_ state: JobState) -> String {
        "\(live) WHERE state >= 2 AND state = \(state.rawValue) AND id > ?1 AND id < ?2 ORDER BY id"
    }

    func page(
        _ filter: JobFilter, at time: WallTime, after: JobID, limit: Int, whole: Bool
    ) throws(SpoolError) -> JobPage {
        let sources = sources(filter)
        defer { for source in sources { source.reset() } }
        let range = filter.ids(after: after)
        for source in sources {
            source.bind(range.after.raw, 1)
            source.bind(range.before.raw, 2)
        }
        // Each stands on its next row.
        var heads: [Statement] = []
        for source in sources where try source.step() { heads.append(source) }
        var page = JobPage()
        var budget = PageBudget()
        var last = after
        while let row = heads.min(by: { $0.integer(0) < $1.integer(0) }) {
            guard page.records.count < limit, !budget.isSpent else {
                page.next = last
                break
            }
            last = JobID(raw: row.integer(0))
            budget.look()
            if let record = try record(row, filter, time, whole, &budget) { page.records.append(record) }
            if try !row.step() { heads.removeAll { $0 === row } }
        }
        return page
    }

    private func sources(_ filter: JobFilter) -> [Statement] {
        var sources: [Statement] = []
        if let aside = filter.wantsAside {
            sources = aside.map { $0 == .held ? held : failed }
        } else if filter.wantsLive {
            sources = [all]
        }
        return filter.wantsFinished ? sources + [ended] : sources
    }

    /// Nil where the filter does not take it.
    private func record(
        _ row: Statement, _ filter: JobFilter, _ time: WallTime, _ whole: Bool, _ budget: inout PageBudget
    ) throws(SpoolError) -> JobRecord? {
        guard var record = judged(JobRecord(row, kinds, whole: false)),
            filter.takes(
                record.state, dueAt: record.dueAt, at: time, queue: record.queue, uid: record.uid, kind: record.kind)
        else { return nil }
        guard whole || filter.letter != nil else { return record }
        record.body = Array(row.bytes(14))
        record.history = Array(row.bytes(15))
        budget.read(record, isJudged: filter.letter != nil)
        if record.finishedAt == nil, try rows.damage(record.id) != nil, let damaged = judged(record) {
            record = damaged
        }
        if let letter = filter.letter, !letter(record) { return nil }
        if !whole {
            record.body = []
            record.history = []
        }
        return record
    }

    /// A whole record, of a row of `live` or `finished`; nil for what a job has left behind that ended.
    func record(_ row: Statement) throws(SpoolError) -> JobRecord? {
        let record = JobRecord(row, kinds, whole: true)
        if record.finishedAt == nil { _ = try rows.damage(record.id) }
        return judged(record)
    }

    /// With what is known to be wrong with it; nil for what a job has left behind that ended.
    private func judged(_ record: JobRecord) -> JobRecord? {
        guard record.finishedAt == nil, let damage = rows.ledger[record.id] else { return record }
        guard !damage.hasEnded else { return nil }
        var record = record
        record.damage = damage.reason
        // Whatever it says itself, and although the writer may not have come round to it yet.
        record.state = .held
        record.dueAt = nil
        return record
    }
}

extension JobRecord {
    /// Of a row of `SQLiteListing.live` or `.finished`.
    /// - Parameter whole: with body and history.
    init(_ row: Statement, _ kinds: KindNumbers, whole: Bool) {
        self.init(
            id: JobID(raw: row.integer(0)), state: JobState(rawValue: UInt8(clamping: row.integer(1))) ?? .held,
            kind: kinds.index(of: row.integer(2)), priority: UInt8(clamping: row.integer(3)),
            uid: UInt32(truncatingIfNeeded: row.integer(4)), queue: UInt16(truncatingIfNeeded: row.integer(5)),
            attempts: Int(row.integer(6)), crashes: Int(row.integer(7)), dueAt: row.time(8), expiresAt: row.time(9),
            finishedAt: row.time(10), body: whole ? Array(row.bytes(14)) : [],
            history: whole ? Array(row.bytes(15)) : [])
        attemptsMax = Int(row.integer(11))
        resumesAt = row.time(12)
        fates = row.isNull(13) ? nil : row.bytes(13).map { Fate(rawValue: $0) ?? .open }
    }
}
