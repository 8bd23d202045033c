// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// Questions to the SQLite file over a connection of their own: WAL lets them go on while the writer commits.
final class SQLiteReading: Reading {
    private let database: Database
    private let kinds: KindNumbers
    private let waiting: SQLiteWaiting
    private let listLive: Statement
    private let listReady: Statement
    private let listScheduled: Statement
    private let listAside: Statement
    private let listFinished: Statement
    private let showLive: Statement
    private let showFinished: Statement

    init(path: String, kinds: KindNumbers, lanes: LaneNumbers) throws(SpoolError) {
        database = try Database(path: path)
        self.kinds = kinds
        try database.execute("PRAGMA query_only = ON; PRAGMA cache_size = -2048")
        waiting = try SQLiteWaiting(database, kinds: kinds, lanes: lanes)
        let live = """
            SELECT id, state, kind, priority, uid, queue, attempts, crashes, due, expires, NULL, body, history FROM jobs
            """
        let finished = """
            SELECT id, state, kind, \(Limits.priorityDefault), uid, queue, attempts, 0, NULL, NULL, finished_at, x'',
            history FROM finished
            """
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

    func ready(_ lane: Lane, after: JobID, limit: Int, bytesMax: Int) throws(SpoolError) -> [WaitingJob] {
        try waiting.ready(lane, after: after, limit: limit, bytesMax: bytesMax)
    }

    func body(_ id: JobID) throws(SpoolError) -> ByteBuffer? { try waiting.body(id) }

    func readyLanes() throws(SpoolError) -> [Lane] { try waiting.readyLanes() }

    func due(
        at time: WallTime, limit: Int, bytesMax: Int, skipping: Set<Lane>
    ) throws(SpoolError) -> DueJobs {
        try waiting.due(at: time, limit: limit, bytesMax: bytesMax, skipping: skipping)
    }

    func dueCount(at time: WallTime, limit: Int) throws(SpoolError) -> Int {
        try waiting.dueCount(at: time, limit: limit)
    }

    func nextDue(after time: WallTime) throws(SpoolError) -> WallTime? { try waiting.nextDue(after: time) }

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
            uid: UInt32(truncatingIfNeeded: row.integer(4)), queue: UInt16(truncatingIfNeeded: row.integer(5)),
            attempts: Int(row.integer(6)), crashes: Int(row.integer(7)), dueAt: row.time(8), expiresAt: row.time(9),
            finishedAt: row.time(10), body: Array(row.bytes(11)), history: Array(row.bytes(12)))
    }

    func close() { database.close() }
}
