// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob

/// The kinds of this daemon and their numbers in the file, which outlive any order they are listed in.
struct KindNumbers {
    private(set) var numbers: [Int64] = []
    private var indices: [Int64: UInt8] = [:]

    /// Stands for a kind that is in the file and not in this daemon.
    static let unknown: UInt8 = 255

    init(_ kinds: [String], in database: Database) throws(SpoolError) {
        let insert = try database.prepare("INSERT OR IGNORE INTO kinds (name) VALUES (?)")
        let select = try database.prepare("SELECT number FROM kinds WHERE name = ?")
        for (index, kind) in kinds.enumerated() {
            insert.bind(kind, 1)
            try insert.run()
            select.bind(kind, 1)
            guard try select.step() else { throw .failed(message: "kind \(kind) was not kept") }
            numbers.append(select.integer(0))
            indices[select.integer(0)] = UInt8(index)
            select.reset()
        }
    }

    func index(of number: Int64) -> UInt8 { indices[number] ?? Self.unknown }
}

/// The spool in one SQLite file: WAL, synchronous=FULL, one writer.
///
/// https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous: FULL syncs the log at each commit,
/// which is what "answered = on disk" rests on.
package final class SQLiteKeeping: Keeping {
    package let opened: OpenedSpool
    private let lock: SpoolLock
    private let database: Database
    private let kinds: KindNumbers
    private let begin: Statement
    private let commitStatement: Statement
    private let rollback: Statement
    private let insert: Statement
    private let putBack: Statement
    private let finishFirst: Statement
    private let finishLater: Statement
    private let delete: Statement
    private let writeTally: Statement

    /// - Parameter kinds: names of the daemon's kinds; `Submission.kind` is an index into it.
    package init(path: String, kinds: [String]) throws(SpoolError) {
        lock = try SpoolLock(path: path)
        database = try Database(path: path)
        // First, because the journal mode is written into the file: one that is none of ours must stay as it is.
        try Schema.migrate(database)
        try database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF")
        try database.execute("PRAGMA wal_autocheckpoint = 1000; PRAGMA cache_size = -4096")
        self.kinds = try KindNumbers(kinds, in: database)
        opened = try Self.find(in: database)
        begin = try database.prepare("BEGIN IMMEDIATE")
        commitStatement = try database.prepare("COMMIT")
        rollback = try database.prepare("ROLLBACK")
        insert = try database.prepare(
            """
            INSERT INTO jobs (id, state, priority, kind, uid, due, expires, attempts_max, body)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)
        putBack = try database.prepare(
            """
            UPDATE jobs SET state = ?2, due = ?3, attempts = ?4, fates = ?5,
            history = CAST(coalesce(history, x'') || ?6 AS BLOB) WHERE id = ?1
            """)
        finishFirst = try database.prepare("INSERT INTO finished VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
        finishLater = try database.prepare(
            """
            INSERT INTO finished SELECT ?1, ?2, ?3, ?4, ?5, ?6, CAST(coalesce(history, x'') || ?7 AS BLOB)
            FROM jobs WHERE id = ?1
            """)
        delete = try database.prepare("DELETE FROM jobs WHERE id = ?")
        writeTally = try database.prepare(
            """
            UPDATE tally SET ready = ?, scheduled = ?, held = ?, failed = ?, finished = ?, bytes = ?, last_id = ?
            """)
    }

    private static func find(in database: Database) throws(SpoolError) -> OpenedSpool {
        let row = try database.prepare("SELECT ready, scheduled, held, failed, finished, bytes, last_id FROM tally")
        guard try row.step() else { throw .corrupt(message: "\(database.path): the tally is missing") }
        var tally = Tally()
        tally.ready = Int(row.integer(0))
        tally.scheduled = Int(row.integer(1))
        tally.held = Int(row.integer(2))
        tally.failed = Int(row.integer(3))
        tally.finished = Int(row.integer(4))
        tally.bytes = Int(row.integer(5))
        var settings: [String: String] = [:]
        let pairs = try database.prepare("SELECT name, value FROM settings")
        while try pairs.step() { settings[pairs.text(0)] = pairs.text(1) }
        guard let node = settings["node"].flatMap({ Int64($0) }) else {
            throw .corrupt(message: "\(database.path): the node number is missing")
        }
        return OpenedSpool(tally: tally, lastID: JobID(raw: row.integer(6)), node: node, settings: settings)
    }

    @discardableResult
    package func commit(_ batch: Batch) throws(SpoolError) -> Tally {
        try begin.run()
        do throws(SpoolError) {
            let tally = try write(batch)
            try commitStatement.run()
            return tally
        } catch {
            // A full disk may have rolled back by itself: https://sqlite.org/lang_transaction.html
            if database.isInTransaction { try? rollback.run() }
            throw error
        }
    }

    private func write(_ batch: Batch) throws(SpoolError) -> Tally {
        var tally = batch.tally
        for chunk in batch.chunks { try append(chunk) }
        for settlement in batch.settlements where try !settle(settlement) { tally.moveBack(settlement) }
        for setting in batch.settings { try set(setting.name, setting.value) }
        try write(tally, lastID: batch.lastID)
        return tally
    }

    private func append(_ chunk: Chunk) throws(SpoolError) {
        let result = chunk.bytes.withUnsafeReadableBytes { bytes in
            Result<Void, SpoolError> { () throws(SpoolError) in
                var id = chunk.firstID
                for (index, job) in chunk.submissions.enumerated()
                where chunk.refusals.isEmpty || chunk.refusals[index] == nil {
                    try append(job, id, uid: chunk.uid, UnsafeRawBufferPointer(rebasing: bytes[job.range]))
                    id = id.advanced(by: 1)
                }
            }
        }
        try result.get()
    }

    private func append(
        _ job: Submission, _ id: JobID, uid: UInt32, _ line: UnsafeRawBufferPointer
    ) throws(SpoolError) {
        insert.bind(id.raw, 1)
        insert.bind(Int(job.dueAt == nil ? JobState.ready.rawValue : JobState.scheduled.rawValue), 2)
        insert.bind(Int(job.priority), 3)
        insert.bind(kinds.numbers[Int(job.kind)], 4)
        insert.bind(Int(uid), 5)
        insert.bind(job.dueAt, 6)
        insert.bind(job.expiresAt, 7)
        insert.bind(job.attemptsMax, 8)
        insert.bindUnowned(line, 9)
        try insert.run()
    }

    /// False where the job is not there any more.
    private func settle(_ settlement: Settlement) throws(SpoolError) -> Bool {
        guard settlement.state.isFinal else { return try putBack(settlement) }
        // Only what is delivered at the first attempt has no history yet: an operator may cancel between two attempts.
        let isFirst = settlement.state == .delivered && settlement.attempts <= 1
        if isFirst, try !remove(settlement.id) { return false }
        let finish = isFirst ? finishFirst : finishLater
        finish.bind(settlement.id.raw, 1)
        finish.bind(Int(settlement.state.rawValue), 2)
        finish.bind(kindNumber(settlement.kind), 3)
        finish.bind(Int(settlement.uid), 4)
        finish.bind(settlement.attempts, 5)
        finish.bind(settlement.endedAt, 6)
        finish.bind(settlement.history, 7)
        try finish.run()
        if isFirst { return true }
        return try remove(settlement.id)
    }

    private func remove(_ id: JobID) throws(SpoolError) -> Bool {
        delete.bind(id.raw, 1)
        try delete.run()
        return database.changes > 0
    }

    private func putBack(_ settlement: Settlement) throws(SpoolError) -> Bool {
        putBack.bind(settlement.id.raw, 1)
        putBack.bind(Int(settlement.state.rawValue), 2)
        putBack.bind(settlement.dueAt, 3)
        putBack.bind(settlement.attempts, 4)
        if let fates = settlement.fates { putBack.bind(fates.map(\.rawValue), 5) } else { putBack.bindNull(5) }
        putBack.bind(settlement.history, 6)
        try putBack.run()
        return database.changes > 0
    }

    private func kindNumber(_ kind: UInt8) -> Int64 {
        Int(kind) < kinds.numbers.count ? kinds.numbers[Int(kind)] : -1
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

    private func write(_ tally: Tally, lastID: JobID) throws(SpoolError) {
        let values = [tally.ready, tally.scheduled, tally.held, tally.failed, tally.finished, tally.bytes]
        for (index, value) in values.enumerated() { writeTally.bind(value, CInt(index + 1)) }
        writeTally.bind(lastID.raw, 7)
        try writeTally.run()
    }

    /// Rows a call forgets at most: a commit of a few milliseconds.
    private static let pruneRowsMax = 2000

    package func prune(finishedBefore time: WallTime, jobsMax: Int, tally: Tally) throws(SpoolError) -> Int {
        let over = min(max(0, tally.finished - jobsMax), Self.pruneRowsMax)
        var pruned = 0
        try begin.run()
        do throws(SpoolError) {
            let oldest = try database.prepare(
                "DELETE FROM finished WHERE id IN (SELECT id FROM finished ORDER BY id LIMIT ?)")
            oldest.bind(over, 1)
            try oldest.run()
            pruned = over == 0 ? 0 : database.changes
            // A job ended after it was accepted: none with a later id can have ended before `time`.
            let old = try database.prepare(
                """
                DELETE FROM finished WHERE id IN
                (SELECT id FROM finished WHERE id < ? AND finished_at < ? ORDER BY id LIMIT \(Self.pruneRowsMax))
                """)
            old.bind(JobID.first(at: time, node: 0).raw, 1)
            old.bind(time, 2)
            try old.run()
            pruned += database.changes
            let count = try database.prepare("UPDATE tally SET finished = finished - ?")
            count.bind(pruned, 1)
            try count.run()
            try commitStatement.run()
        } catch {
            if database.isInTransaction { try? rollback.run() }
            throw error
        }
        return pruned
    }

    package var storedBytes: @Sendable () -> Int {
        { [path = database.path] in
            ["", "-wal", "-shm"].reduce(0) { sum, suffix in
                var status = stat()
                return stat(path + suffix, &status) == 0 ? sum + Int(status.st_size) : sum
            }
        }
    }

    package func reading() throws(SpoolError) -> any Reading {
        try SQLiteReading(path: database.path, kinds: kinds)
    }

    package func close() {
        // Leaves one file behind, whole, where it can; the log is replayed at the next start where it cannot.
        try? database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        lock.release()
    }

    /// For tests, on the writer's thread: from here on it is as if the disk had room for so many pages (of 4 KiB).
    package func limit(pages: Int) throws(SpoolError) { try database.execute("PRAGMA max_page_count = \(pages)") }
}
