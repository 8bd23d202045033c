// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// Questions to the SQLite file over a connection of their own: WAL lets them go on while the writer commits.
final class SQLiteReading: Reading {
    private let database: Database
    private let kinds: KindNumbers
    private let waiting: SQLiteWaiting
    private let rows: UnreadableRows
    private let listing: SQLiteListing
    private let showLive: Statement
    private let showFinished: Statement
    private let showKey: Statement

    init(
        path: String, vfs: String?, kinds: KindNumbers, lanes: LaneNumbers, ledger: DamageLedger
    ) throws(SpoolError) {
        database = try Database(path: path, vfs: vfs)
        self.kinds = kinds
        try database.execute("PRAGMA query_only = ON; PRAGMA cache_size = -2048")
        rows = try UnreadableRows(database, lanes: lanes, ledger: ledger)
        waiting = try SQLiteWaiting(database, kinds: kinds, lanes: lanes, ledger: ledger)
        listing = try SQLiteListing(database, kinds: kinds, rows: rows)
        showLive = try database.prepare("\(SQLiteListing.live) WHERE id = ?")
        showFinished = try database.prepare("\(SQLiteListing.finished) WHERE id = ?")
        showKey = try database.prepare("SELECT name FROM keys WHERE job = ?")
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

    func list(
        _ filter: JobFilter, at time: WallTime, after: JobID, limit: Int, whole: Bool
    ) throws(SpoolError) -> JobPage {
        try rows.round(after: after) { () throws(SpoolError) in
            try listing.page(filter, at: time, after: after, limit: limit, whole: whole)
        }
    }

    func show(_ id: JobID) throws(SpoolError) -> JobRecord? {
        try rows.round(after: JobID(raw: id.raw - 1), through: id) { () throws(SpoolError) in
            for statement in [showLive, showFinished] {
                defer { statement.reset() }
                statement.bind(id.raw, 1)
                guard try statement.step(), var record = try listing.record(statement) else { continue }
                record.key = try key(of: id)
                return record
            }
            return nil
        }
    }

    func takeDiscoveries() -> Discoveries {
        var discoveries = Discoveries()
        discoveries.damaged = rows.ledger.takeFresh()
        discoveries.corruption = database.takeCorruption()
        return discoveries
    }

    private func key(of id: JobID) throws(SpoolError) -> [UInt8]? {
        defer { showKey.reset() }
        showKey.bind(id.raw, 1)
        return try showKey.step() ? Array(showKey.bytes(0)) : nil
    }

    func close() { database.close() }
}
