// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob

/// Gives disk back that a long queue has taken, in steps of a few milliseconds: first free pages of the database, then
/// what the log has grown to. On the writer's connection.
final class SQLiteShrinking {
    private let database: Database
    private let freePages: Statement
    private let pages: Statement
    /// Files of the first formats cannot shrink, unless the upgrade made them anew.
    private let isIncremental: Bool

    /// Pages (of 4 KiB) that one step moves: 5 ms and a commit.
    private static let stepPages: Int64 = 256
    /// Free pages that are left in the file, that the next burst need not make it grow: a part of it, and so many more.
    private static let sparePart: Int64 = 8
    private static let sparePages: Int64 = 1024
    /// A log of the usual length is used again from its beginning.
    private static let logBytesMax = 8 << 20

    init(_ database: Database) throws(SpoolError) {
        self.database = database
        freePages = try database.prepare("PRAGMA freelist_count")
        pages = try database.prepare("PRAGMA page_count")
        // 2 is INCREMENTAL: https://sqlite.org/pragma.html#pragma_auto_vacuum
        isIncremental = try database.integer("PRAGMA auto_vacuum") == 2
        // A log that a long read made grow is cut at its next restart.
        try database.execute("PRAGMA journal_size_limit = \(Self.logBytesMax)")
    }

    /// - Parameter whole: nothing is spared for the next burst: the disk is nearly full.
    /// - Returns: whether there may be more to do.
    func step(whole: Bool) throws(SpoolError) -> Bool {
        // The log first: on a full disk what moves pages would find no room for its own.
        if whole, try cutLog(over: 0) { return true }
        if isIncremental, try excess(whole) > 0 {
            try database.execute("PRAGMA incremental_vacuum(\(Self.stepPages))")
            // The file is cut when the log has been copied into it.
            if try excess(whole) <= 0 { try copyLog() }
            return true
        }
        return try cutLog(over: Self.logBytesMax)
    }

    /// - Returns: whether it is shorter now.
    private func cutLog(over bytes: Int) throws(SpoolError) -> Bool {
        let before = logBytes
        guard before > bytes else { return false }
        try copyLog()
        return logBytes < before
    }

    private func excess(_ whole: Bool) throws(SpoolError) -> Int64 {
        let free = try Self.number(freePages)
        return whole ? free : try free - Self.number(pages) / Self.sparePart - Self.sparePages
    }

    private static func number(_ statement: Statement) throws(SpoolError) -> Int64 {
        defer { statement.reset() }
        return try statement.step() ? statement.integer(0) : 0
    }

    /// Where somebody reads it is tried again another time; nobody is waited for.
    private func copyLog() throws(SpoolError) {
        database.setBusyTimeout(milliseconds: 0)
        defer { database.setBusyTimeout(milliseconds: Database.busyMilliseconds) }
        try database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    private var logBytes: Int {
        var status = stat()
        return stat(database.path + "-wal", &status) == 0 ? Int(status.st_size) : 0
    }
}
