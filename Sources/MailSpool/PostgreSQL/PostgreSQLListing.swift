// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import PostgreSQL

/// Goes through the jobs that a filter may mean, in the order of their ids, a slice of rows at a time.
///
/// As with SQLite, what a page costs is bounded by the rows that it looks at, and so conditions are judged here.
struct PostgreSQLListing {
    /// Columns as `JobRecord.init` reads them; a long body is read of jobs that are taken, and of no others.
    static let live = """
        SELECT id, state, kind, priority, uid, queue, attempts, crashes, due, expires, NULL::int8, attempts_max, resumes,
        fates, CASE WHEN length(body) <= \(shortBytes) THEN body END, history FROM jobs
        """
    static let finished = """
        SELECT id, state, kind, \(Limits.priorityDefault), uid, queue, attempts, 0, NULL::int8, NULL::int8, finished_at,
        0, NULL::int8, NULL::bytea, ''::bytea, history FROM finished
        """
    private static let shortBytes = 8192
    private static let sliceRows = 128

    let kinds: KindTable
    let link: Link

    /// Rows of one table, in the order of their ids, up to `end`.
    private struct Source {
        let text: String
        let end: JobID
        var after: JobID
        var slice: Rows?
        var place = 0
        var isOver = false

        var id: JobID? { slice.map { JobID(raw: $0.integer(place, 0)) } }

        init(_ table: String, _ range: (after: JobID, before: JobID)) {
            text = "\(table) id > $1 AND id < $2 ORDER BY id LIMIT \(PostgreSQLListing.sliceRows)"
            after = range.after
            end = range.before
        }

        mutating func step(_ link: Link) throws(SpoolError) {
            place += 1
            if let slice, place < slice.count { return }
            if let slice { isOver = slice.count < PostgreSQLListing.sliceRows }
            if let slice, slice.count > 0 { after = JobID(raw: slice.integer(slice.count - 1, 0)) }
            slice = isOver ? nil : try link.run(text, [.integer(after.raw), .integer(end.raw)])
            place = 0
            if slice?.count == 0 { slice = nil }
        }
    }

    func page(
        _ filter: JobFilter, at time: WallTime, after: JobID, limit: Int, whole: Bool
    ) throws(SpoolError) -> JobPage {
        var sources = tables(filter).map { Source($0, filter.ids(after: after)) }
        for place in sources.indices { try sources[place].step(link) }
        var page = JobPage()
        var budget = PageBudget()
        var last = after
        while let place = Self.lowest(sources), let id = sources[place].id, let rows = sources[place].slice {
            guard page.records.count < limit, !budget.isSpent else {
                page.next = last
                break
            }
            last = id
            budget.look()
            let record = try record(rows, sources[place].place, filter, time, whole, &budget)
            if let record { page.records.append(record) }
            try sources[place].step(link)
        }
        return page
    }

    private static func lowest(_ sources: [Source]) -> Int? {
        sources.indices.filter { sources[$0].id != nil }
            .min { (sources[$0].id?.raw ?? 0) < (sources[$1].id?.raw ?? 0) }
    }

    private func tables(_ filter: JobFilter) -> [String] {
        var tables: [String] = []
        if let aside = filter.wantsAside {
            tables = aside.map { "\(Self.live) WHERE state >= 2 AND state = \($0.rawValue) AND" }
        } else if filter.wantsLive {
            tables = ["\(Self.live) WHERE"]
        }
        return filter.wantsFinished ? tables + ["\(Self.finished) WHERE"] : tables
    }

    /// Nil where the filter does not take it.
    private func record(
        _ rows: Rows, _ row: Int, _ filter: JobFilter, _ time: WallTime, _ whole: Bool, _ budget: inout PageBudget
    ) throws(SpoolError) -> JobRecord? {
        var record = JobRecord(rows, row, kinds)
        guard
            filter.takes(
                record.state, dueAt: record.dueAt, at: time, queue: record.queue, uid: record.uid, kind: record.kind)
        else { return nil }
        guard whole || filter.letter != nil else { return record }
        try fill(&record, rows, row)
        budget.read(record, isJudged: filter.letter != nil)
        if let letter = filter.letter, !letter(record) { return nil }
        if !whole {
            record.body = []
            record.history = []
        }
        return record
    }

    /// Reads the long columns of a row.
    func fill(_ record: inout JobRecord, _ rows: Rows, _ row: Int) throws(SpoolError) {
        record.history = Array(rows.bytes(row, 15))
        record.body = try rows.isNull(row, 14) ? body(record.id) ?? [] : Array(rows.bytes(row, 14))
    }

    func body(_ id: JobID) throws(SpoolError) -> [UInt8]? {
        let rows = try link.run("SELECT body FROM jobs WHERE id = $1", [.integer(id.raw)])
        return rows.count == 1 ? Array(rows.bytes(0, 0)) : nil
    }
}

extension JobRecord {
    /// Of a row of `PostgreSQLListing.live` or `.finished`, without body and history.
    init(_ rows: Rows, _ row: Int, _ kinds: KindTable) {
        self.init(
            id: JobID(raw: rows.integer(row, 0)),
            state: JobState(rawValue: UInt8(clamping: rows.integer(row, 1))) ?? .held,
            kind: kinds.index(of: rows.integer(row, 2)), priority: UInt8(clamping: rows.integer(row, 3)),
            uid: UInt32(truncatingIfNeeded: rows.integer(row, 4)),
            queue: UInt16(truncatingIfNeeded: rows.integer(row, 5)), attempts: Int(rows.integer(row, 6)),
            crashes: Int(rows.integer(row, 7)), dueAt: rows.time(row, 8), expiresAt: rows.time(row, 9),
            finishedAt: rows.time(row, 10), body: [], history: [])
        attemptsMax = Int(rows.integer(row, 11))
        resumesAt = rows.time(row, 12)
        fates = rows.fates(row, 13)
    }
}
