// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// Questions to the SQLite file over a connection of their own: WAL lets them go on while the writer commits.
final class SQLiteReading: Reading {
    private let database: Database
    private let kinds: KindNumbers
    private let readyUsual: Statement
    private let readyOther: Statement
    private let dueJobs: Statement
    private let dueFirst: Statement
    private let dueCounted: Statement
    private let listLive: Statement
    private let listReady: Statement
    private let listScheduled: Statement
    private let listAside: Statement
    private let listFinished: Statement
    private let showLive: Statement
    private let showFinished: Statement

    init(path: String, kinds: KindNumbers) throws(SpoolError) {
        database = try Database(path: path)
        self.kinds = kinds
        try database.execute("PRAGMA query_only = ON; PRAGMA cache_size = -2048")
        let waiting = """
            SELECT id, state, kind, priority, uid, attempts, attempts_max, expires, due, fates, body FROM jobs
            """
        let live = """
            SELECT id, state, kind, priority, uid, attempts, due, expires, NULL, body, history FROM jobs
            """
        let finished = """
            SELECT id, state, kind, \(Limits.priorityDefault), uid, attempts, NULL, NULL, finished_at, x'', history
            FROM finished
            """
        // The two differ in their index: the planner takes a partial one only where the terms imply its WHERE.
        readyUsual = try database.prepare(
            "\(waiting) WHERE id > ?2 AND state = 0 AND priority = ?1 ORDER BY id LIMIT ?3")
        readyOther = try database.prepare(
            """
            \(waiting) WHERE priority = ?1 AND priority <> \(Limits.priorityDefault) AND state = 0 AND id > ?2
            ORDER BY id LIMIT ?3
            """)
        dueJobs = try database.prepare("\(waiting) WHERE state = 1 AND due <= ? ORDER BY due, id LIMIT ?")
        dueFirst = try database.prepare("SELECT min(due) FROM jobs WHERE state = 1 AND due > ?")
        dueCounted = try database.prepare(
            "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state = 1 AND due <= ? LIMIT ?)")
        listLive = try database.prepare("\(live) WHERE id > ?2 ORDER BY id LIMIT ?3")
        listReady = try database.prepare(
            "\(live) WHERE (state = ?1 OR (state = 1 AND due <= ?4)) AND id > ?2 ORDER BY id LIMIT ?3")
        listScheduled = try database.prepare(
            "\(live) WHERE state = ?1 AND due > ?4 AND id > ?2 ORDER BY id LIMIT ?3")
        listAside = try database.prepare(
            "\(live) WHERE state >= 2 AND state = ?1 AND id > ?2 ORDER BY id LIMIT ?3")
        listFinished = try database.prepare("\(finished) WHERE state = ?1 AND id > ?2 ORDER BY id LIMIT ?3")
        showLive = try database.prepare("\(live) WHERE id = ?")
        showFinished = try database.prepare("\(finished) WHERE id = ?")
    }

    func ready(priority: UInt8, after: JobID, limit: Int, bytesMax: Int) throws(SpoolError) -> [WaitingJob] {
        let statement = Int(priority) == Limits.priorityDefault ? readyUsual : readyOther
        statement.bind(Int(priority), 1)
        statement.bind(after.raw, 2)
        statement.bind(limit, 3)
        return try waiting(statement, bytesMax)
    }

    func due(at time: WallTime, limit: Int, bytesMax: Int) throws(SpoolError) -> [WaitingJob] {
        dueJobs.bind(time.milliseconds, 1)
        dueJobs.bind(limit, 2)
        return try waiting(dueJobs, bytesMax)
    }

    private func waiting(_ statement: Statement, _ bytesMax: Int) throws(SpoolError) -> [WaitingJob] {
        defer { statement.reset() }
        var jobs: [WaitingJob] = []
        var bytes = 0
        while jobs.isEmpty || bytes < bytesMax, try statement.step() {
            let job = waitingJob(statement)
            bytes += job.body.readableBytes
            jobs.append(job)
        }
        return jobs
    }

    private func waitingJob(_ row: Statement) -> WaitingJob {
        let id = JobID(raw: row.integer(0))
        let due = row.time(8)
        let fates = row.isNull(9) ? nil : row.bytes(9).map { Fate(rawValue: $0) ?? .open }
        return WaitingJob(
            id: id, state: due == nil ? .ready : .scheduled, kind: kinds.index(of: row.integer(2)),
            priority: UInt8(clamping: row.integer(3)), uid: UInt32(truncatingIfNeeded: row.integer(4)),
            attempts: Int(row.integer(5)), attemptsMax: Int(row.integer(6)),
            expiresAt: WallTime(milliseconds: row.integer(7)), readyAt: due ?? id.time, fates: fates,
            body: ByteBuffer(bytes: row.bytes(10)))
    }

    func dueCount(at time: WallTime, limit: Int) throws(SpoolError) -> Int {
        defer { dueCounted.reset() }
        dueCounted.bind(time.milliseconds, 1)
        dueCounted.bind(limit, 2)
        return try dueCounted.step() ? Int(dueCounted.integer(0)) : 0
    }

    func nextDue(after time: WallTime) throws(SpoolError) -> WallTime? {
        defer { dueFirst.reset() }
        dueFirst.bind(time.milliseconds, 1)
        return try dueFirst.step() ? dueFirst.time(0) : nil
    }

    func list(state: JobState?, at time: WallTime, after: JobID, limit: Int) throws(SpoolError) -> [JobRecord] {
        let statement =
            switch state {
            case .none: listLive
            case .held, .failed: listAside
            case .delivered, .cancelled, .expired: listFinished
            case .ready, .running: listReady
            case .scheduled: listScheduled
            }
        defer { statement.reset() }
        if let state { statement.bind(Int(state.rawValue), 1) }
        statement.bind(after.raw, 2)
        statement.bind(limit, 3)
        if state == .ready || state == .scheduled { statement.bind(time.milliseconds, 4) }
        var records: [JobRecord] = []
        var bytes = 0
        while bytes < Limits.listBytesMax, try statement.step() {
            records.append(record(statement))
            bytes += records.last?.body.count ?? 0
        }
        return records
    }

    func show(_ id: JobID) throws(SpoolError) -> JobRecord? {
        for statement in [showLive, showFinished] {
            defer { statement.reset() }
            statement.bind(id.raw, 1)
            if try statement.step() { return record(statement) }
        }
        return nil
    }

    private func record(_ row: Statement) -> JobRecord {
        JobRecord(
            id: JobID(raw: row.integer(0)), state: JobState(rawValue: UInt8(clamping: row.integer(1))) ?? .held,
            kind: kinds.index(of: row.integer(2)), priority: UInt8(clamping: row.integer(3)),
            uid: UInt32(truncatingIfNeeded: row.integer(4)), attempts: Int(row.integer(5)), dueAt: row.time(6),
            expiresAt: row.time(7), finishedAt: row.time(8), body: Array(row.bytes(9)), history: Array(row.bytes(10)))
    }

    func close() { database.close() }
}
