// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob

/// The spool in one SQLite file: WAL, synchronous=FULL, one writer.
///
/// https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous: FULL syncs the log at each commit,
/// which is what "answered = on disk" rests on.
package final class SQLiteKeeping: Keeping {
    package private(set) var opened: OpenedSpool
    private let lock: SpoolLock
    private let database: Database
    private let kinds: KindNumbers
    private let lanes: LaneNumbers
    /// The main lane's user is on disk, or there is none.
    private var isMainKept: Bool
    /// The file is damaged beyond single rows, and nothing more is written to it.
    private var isMarked = false
    private let begin: Statement
    private let commitStatement: Statement
    private let rollback: Statement
    private let counts: SQLiteCounts
    private let keys: SQLiteKeys
    private let appends: SQLiteAppends
    private let settlements: SQLiteSettlements
    private let changes: SQLiteChanges
    private let imports: SQLiteImports
    private let damage: SQLiteDamage
    private let shrinking: SQLiteShrinking
    private let reserve: Reserve
    private let vfs: String?

    /// - Parameters:
    ///   - kinds: names of the daemon's kinds; `Submission.kind` is an index into it.
    ///   - vfs: SQLite's name for the file system underneath; nil for the machine's own.
    ///   - progress: called every few milliseconds of a long upgrade.
    package init(
        path: String, kinds: [String], vfs: String? = nil, progress: SpoolUpgrade.Progress? = nil
    ) throws(SpoolError) {
        lock = try SpoolLock(path: path)
        try DamageMark.refuse(path)
        database = try Database(writing: path, vfs: vfs)
        self.vfs = vfs
        // First, because the journal mode is written into the file: one that is none of ours must stay as it is.
        try Schema.migrate(database, progress)
        try database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF")
        try database.checkSynchronous()
        try database.execute("PRAGMA wal_autocheckpoint = 1000; PRAGMA cache_size = -4096")
        if try database.integer("SELECT 1 FROM settings WHERE name = '\(SQLiteCounts.recountSetting)'") != nil {
            try SQLiteCounts.recount(database)
        }
        self.kinds = try KindNumbers(kinds, in: database)
        counts = try SQLiteCounts(database, kinds: self.kinds)
        opened = try Self.find(in: database, counts)
        lanes = try LaneNumbers(opened, in: database)
        isMainKept = lanes.main != nil
        reserve = Reserve(path: path + Self.reserveSuffix)
        let ledger = DamageLedger()
        try SQLiteDamage.load(database, into: ledger)
        damage = try SQLiteDamage(database, kinds: self.kinds, lanes: lanes, ledger: ledger)
        shrinking = try SQLiteShrinking(database)
        begin = try database.prepare("BEGIN IMMEDIATE")
        commitStatement = try database.prepare("COMMIT")
        rollback = try database.prepare("ROLLBACK")
        keys = try SQLiteKeys(database, kinds: self.kinds)
        appends = try SQLiteAppends(database, kinds: self.kinds, lanes: lanes, keys: keys)
        settlements = try SQLiteSettlements(database, kinds: self.kinds, keys: keys, damage: damage)
        changes = try SQLiteChanges(database, kinds: self.kinds, keys: keys, damage: damage)
        imports = try SQLiteImports(database, kinds: self.kinds, lanes: lanes, keys: keys)
    }

    /// Opens the spool even where the disk is full to the last block: then by what was put by for such a day.
    package static func open(
        path: String, kinds: [String], progress: SpoolUpgrade.Progress? = nil
    ) throws(SpoolError) -> SQLiteKeeping {
        do throws(SpoolError) {
            return try SQLiteKeeping(path: path, kinds: kinds, progress: progress)
        } catch {
            switch error {
            case .outOfSpace, .unwritable:
                guard Reserve(path: path + Self.reserveSuffix).release() else { throw error }
                return try SQLiteKeeping(path: path, kinds: kinds, progress: progress)
            default: throw error
            }
        }
    }

    private static let reserveSuffix = ".reserve"

    private static func find(in database: Database, _ counts: SQLiteCounts) throws(SpoolError) -> OpenedSpool {
        let (tally, lastID) = try counts.read()
        var settings: [String: String] = [:]
        let pairs = try database.prepare("SELECT name, value FROM settings")
        while try pairs.step() { settings[pairs.text(0)] = pairs.text(1) }
        guard let node = settings["node"].flatMap({ Int64($0) }) else {
            throw .corrupt(message: "\(database.path): the node number is missing")
        }
        return OpenedSpool(
            tally: tally, lastID: lastID, node: node, settings: settings, queues: try queues(in: database))
    }

    private static func queues(in database: Database) throws(SpoolError) -> [String: UInt16] {
        var queues: [String: UInt16] = [:]
        let rows = try database.prepare("SELECT name, number FROM queues")
        while try rows.step() { queues[rows.text(0)] = UInt16(truncatingIfNeeded: rows.integer(1)) }
        return queues
    }

    /// All of `body`, or nothing of it.
    private func transaction<Value>(_ body: () throws(SpoolError) -> Value) throws(SpoolError) -> Value {
        try begin.run()
        do throws(SpoolError) {
            let value = try body()
            try commitStatement.run()
            damage.close(isDurable: true)
            counts.close(isDurable: true)
            return value
        } catch {
            // A full disk may have rolled back by itself: https://sqlite.org/lang_transaction.html
            if database.isInTransaction { try? rollback.run() }
            damage.close(isDurable: false)
            counts.close(isDurable: false)
            throw error
        }
    }

    // MARK: Writing

    @discardableResult
    package func commit(_ batch: Batch) throws(SpoolError) -> Tally {
        chooseMain(batch.chunks.first { !$0.submissions.isEmpty }?.uid)
        let ids = batch.settlements.map(\.id)
        let tally = try roundDamage(ids) { (damaged: [DamagedRow]) throws(SpoolError) in
            try transaction { () throws(SpoolError) in
                // Within the same transaction, because the tally goes with it.
                for row in damaged { try damage.record(row, at: batch.settlements[0].endedAt) }
                return try write(batch)
            }
        }
        isMainKept = isMainKept || lanes.main != nil
        return tally
    }

    /// Runs `body`; where it came upon broken pages, and these are those of some of the rows it is about, once more
    /// with what was found of them.
    private func roundDamage<Value>(
        _ ids: [JobID], _ body: ([DamagedRow]) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        do throws(SpoolError) {
            return try body([])
        } catch {
            guard case .corrupt = error else { throw error }
            let damaged = ids.compactMap { damage.standing($0) == nil ? damage.fault($0) : nil }
            guard !damaged.isEmpty else { throw error }
            database.forgiveCorruption()
            return try body(damaged.map(\.unreadable))
        }
    }

    /// Whoever submits the first job is who most of them will come from. Before that job is numbered: a lane's number
    /// stays what it is in every row.
    private func chooseMain(_ uid: UInt32?) {
        guard !isMainKept, lanes.main == nil, let uid else { return }
        lanes.setMain(uid)
    }

    private func keepMain() throws(SpoolError) {
        guard !isMainKept, let main = lanes.main else { return }
        try set(LaneNumbers.setting, String(main.uid))
    }

    private func write(_ batch: Batch) throws(SpoolError) -> Tally {
        var tally = batch.tally
        try keepMain()
        try appends.append(batch.chunks)
        for settlement in batch.settlements {
            switch try settlements.settle(settlement) {
            case .done: if let report = settlement.report { try appends.append(report, of: settlement) }
            case .missing: tally.moveBack(settlement)
            case .held: tally.hold(settlement)
            }
        }
        for setting in batch.settings { try set(setting.name, setting.value) }
        // A batch of nothing at all is there to find out whether the disk takes anything, so it writes the tally.
        if batch.settlements.isEmpty, !batch.chunks.isEmpty {
            let rows = batch.chunks.reduce(0) { $0 + $1.submissions.count }
            try counts.note(rows, tally, touched: batch.touched, lastID: batch.lastID)
        } else {
            try counts.write(tally, touched: batch.touched, lastID: batch.lastID)
        }
        return tally
    }

    private func set(_ name: String, _ value: String?) throws(SpoolError) {
        guard let value else {
            let remove = try database.prepare("DELETE FROM settings WHERE name = ?")
            remove.bind(name, 1)
            return try remove.run()
        }
        let put = try database.prepare("INSERT OR REPLACE INTO settings VALUES (?, ?)")
        put.bind(name, 1)
        put.bind(value, 2)
        try put.run()
    }

    package func find(_ key: [UInt8], uid: UInt32, kind: UInt8) throws(SpoolError) -> KnownKey? {
        try keys.find(key, uid: uid, kind: kind)
    }

    package func change(_ order: ChangeOrder, tally: Tally) throws(SpoolError) -> ChangeOutcome {
        try roundDamage(order.ids) { (damaged: [DamagedRow]) throws(SpoolError) in
            try transaction { () throws(SpoolError) in
                let aside = try damage.setAside(damaged, at: order.at, tally)
                let outcome = try changes.change(order, aside.tally)
                try counts.write(outcome.tally, touched: Set((outcome.changed + aside.changed).map(\.group)))
                return outcome
            }
        }
    }

    package func take(
        _ jobs: [ImportedJob], tally: Tally, limits: SpoolLimits, lastID: JobID
    ) throws(SpoolError) -> ImportOutcome {
        chooseMain(jobs.first?.group.uid)
        let outcome = try transaction { () throws(SpoolError) in
            try keepMain()
            let outcome = try imports.take(jobs, tally, limits)
            try counts.write(outcome.tally, touched: Set(outcome.changed.map(\.group)), lastID: lastID)
            return outcome
        }
        isMainKept = isMainKept || lanes.main != nil
        return outcome
    }

    package func define(queues: [String]) throws(SpoolError) -> [String: UInt16] {
        try transaction { () throws(SpoolError) in
            let insert = try database.prepare("INSERT OR IGNORE INTO queues (name) VALUES (?)")
            for queue in queues {
                insert.bind(queue, 1)
                try insert.run()
            }
        }
        opened.queues = try Self.queues(in: database)
        return opened.queues
    }

    package func recover(inHand: [JobID], at time: WallTime) throws(SpoolError) -> Recovery {
        guard !inHand.isEmpty else { return Recovery() }
        var tally = opened.tally
        let history = Array("{\"at\":\(time.milliseconds),\"event\":\"crashed\"}\n".utf8)
        let recovery = try roundDamage(inHand) { (damaged: [DamagedRow]) throws(SpoolError) in
            try transaction { () throws(SpoolError) in
                tally = try damage.setAside(damaged, at: time, opened.tally).tally
                let recovery = try changes.recover(inHand, at: time, history: history, &tally)
                try counts.write(tally, touched: Set(tally.groups.keys))
                return recovery
            }
        }
        opened.tally = tally
        return recovery
    }

    // MARK: Damage

    package func setAside(_ rows: [DamagedRow], at time: WallTime, tally: Tally) throws(SpoolError) -> SetAside {
        let judged = damage.judged(rows)
        do throws(SpoolError) {
            return try record(judged, at: time, tally)
        } catch {
            guard case .corrupt = error, judged.contains(where: { !$0.isUnreadable }) else { throw error }
            database.forgiveCorruption()
            // One of them can be read and not be written, and nobody knows which.
            return try record(judged.map(\.unreadable), at: time, tally)
        }
    }

    private func record(_ rows: [DamagedRow], at time: WallTime, _ tally: Tally) throws(SpoolError) -> SetAside {
        try transaction { () throws(SpoolError) in
            let outcome = try damage.setAside(rows, at: time, tally)
            try counts.write(outcome.tally, touched: Set(outcome.changed.map(\.group)))
            return outcome
        }
    }

    package func isSetAside(_ id: JobID) -> Bool { damage.ledger.recorded(id) != nil }
    package var damagedJobs: Int { damage.ledger.count }
    package func takeRecorded() -> [DamagedRow] { damage.recorded.isEmpty ? [] : damage.takeRecorded() }
    package func wantRecount() throws(SpoolError) { try SQLiteCounts.wantRecount(database) }
    package func mark(corrupt message: String) {
        isMarked = true
        DamageMark.write(message, database.path)
    }

    package var checker: SpoolChecker? {
        SpoolChecker(path: database.path, vfs: vfs, kinds: kinds, lanes: lanes, ledger: damage.ledger)
    }

    // MARK: Forgetting

    /// Rows a call forgets at most: a commit of a few milliseconds.
    private static let pruneRowsMax = 2000

    package func prune(
        finishedBefore time: WallTime, jobsMax: Int, keysBefore keyTime: WallTime, tally: Tally
    ) throws(SpoolError) -> Pruned {
        try transaction { () throws(SpoolError) in
            var pruned = Pruned()
            pruned.jobs = try pruneFinished(before: time, over: tally.finished - jobsMax)
            let keys = try keys.prune(finishedBefore: keyTime, limit: Self.pruneRowsMax, in: database)
            pruned.hasMore = pruned.jobs >= Self.pruneRowsMax || keys >= Self.pruneRowsMax
            pruned.hasKeys = try self.keys.hasFinished()
            let count = try database.prepare("UPDATE tally SET finished = finished - ?")
            count.bind(pruned.jobs, 1)
            try count.run()
            return pruned
        }
    }

    private func pruneFinished(before time: WallTime, over: Int) throws(SpoolError) -> Int {
        var pruned = 0
        if over > 0 {
            let oldest = try database.prepare(
                "DELETE FROM finished WHERE id IN (SELECT id FROM finished ORDER BY id LIMIT ?)")
            oldest.bind(min(over, Self.pruneRowsMax), 1)
            try oldest.run()
            pruned = database.changes
        }
        // A job ended after it was accepted: none with a later id can have ended before `time`.
        let old = try database.prepare(
            """
            DELETE FROM finished WHERE id IN
            (SELECT id FROM finished WHERE id < ? AND finished_at < ? ORDER BY id LIMIT \(Self.pruneRowsMax))
            """)
        old.bind(JobID.first(at: time, node: 0).raw, 1)
        old.bind(time, 2)
        try old.run()
        return pruned + database.changes
    }

    // MARK: The file

    package var storedBytes: @Sendable () -> Int {
        { [path = database.path] in
            ["", "-wal", "-shm"].reduce(0) { sum, suffix in
                var status = stat()
                return stat(path + suffix, &status) == 0 ? sum + Int(status.st_size) : sum
            }
        }
    }

    package var freeBytes: @Sendable () -> Int? {
        { [path = database.path] in
            var status = statvfs()
            // What is left to those who are not root.
            return statvfs(path, &status) == 0 ? Int(status.f_bavail) * Int(status.f_frsize) : nil
        }
    }

    package func shrink(whole: Bool) throws(SpoolError) -> Bool { try shrinking.step(whole: whole) }
    package func keepReserve(bytes: Int) { reserve.fill(to: bytes) }
    package func keepLogRoom() { LogRoom.make(database.path + "-wal") }
    package func releaseReserve() -> Bool { reserve.release() }

    package func reading() throws(SpoolError) -> any Reading {
        try SQLiteReading(path: database.path, vfs: vfs, kinds: kinds, lanes: lanes, ledger: damage.ledger)
    }

    package func close() {
        if counts.isBehind, !isMarked { try? transaction { () throws(SpoolError) in try counts.catchUp() } }
        // Leaves one file behind, whole, where it can; the log is replayed at the next start where it cannot.
        try? database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        lock.release()
    }

    /// For tests: how long the log grows before it is copied into the database.
    package func checkpoint(everyPages pages: Int) throws(SpoolError) {
        try database.execute("PRAGMA wal_autocheckpoint = \(pages)")
    }

    /// For tests, on the writer's thread: from here on it is as if the disk had room for so many pages (of 4 KiB).
    package func limit(pages: Int) throws(SpoolError) { try database.execute("PRAGMA max_page_count = \(pages)") }
}
