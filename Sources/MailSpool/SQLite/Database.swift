// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CSQLite
import MailJob
import NIOCore

/// One SQLite connection, for one thread.
final class Database {
    private var handle: OpaquePointer?
    let path: String
    /// The last time that the file itself, and not a row's value, was found to be damaged.
    private(set) var corruption: SpoolError?
    private var watcher: Unmanaged<ProgressWatcher>?

    /// - Parameter vfs: SQLite's name for the file system underneath; nil for the machine's own.
    init(path: String, mustExist: Bool = false, vfs: String? = nil) throws(SpoolError) {
        self.path = path
        let access = SQLITE_OPEN_READWRITE | (mustExist ? 0 : SQLITE_OPEN_CREATE)
        let result = sqlite3_open_v2(path, &handle, access | SQLITE_OPEN_NOMUTEX, vfs)
        guard result == SQLITE_OK else {
            let error = self.error(result, "open")
            close()
            throw error
        }
        sqlite3_extended_result_codes(handle, 1)
        sqlite3_busy_timeout(handle, Self.busyMilliseconds)
    }

    func execute(_ sql: String) throws(SpoolError) {
        let result = sqlite3_exec(handle, sql, nil, nil, nil)
        guard result == SQLITE_OK else { throw error(result, sql) }
    }

    func prepare(_ sql: String) throws(SpoolError) -> Statement {
        var statement: OpaquePointer?
        let result = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard result == SQLITE_OK, let statement else { throw error(result, sql) }
        return Statement(statement, of: self)
    }

    /// The first column of the first row, or nil where there is none.
    func integer(_ sql: String) throws(SpoolError) -> Int64? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.integer(0) : nil
    }

    private static let pieceBytes = 1 << 20

    /// A value that may be long, read piece by piece so that it is in memory only once; nil where there is no such row.
    func blob(_ column: String, of table: String, row: Int64) throws(SpoolError) -> ByteBuffer? {
        var blob: OpaquePointer?
        let opened = sqlite3_blob_open(handle, "main", table, column, row, 0, &blob)
        defer { sqlite3_blob_close(blob) }
        guard opened == SQLITE_OK, let blob else {
            if opened & 0xFF == SQLITE_ERROR { return nil }
            throw error(opened, "blob")
        }
        let length = Int(sqlite3_blob_bytes(blob))
        var bytes = ByteBuffer()
        bytes.reserveCapacity(length)
        var result = SQLITE_OK
        while bytes.readableBytes < length, result == SQLITE_OK {
            let place = bytes.readableBytes
            let count = min(Self.pieceBytes, length - place)
            bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
                result = sqlite3_blob_read(blob, target.baseAddress, CInt(count), CInt(place))
                return result == SQLITE_OK ? count : 0
            }
        }
        guard result == SQLITE_OK else { throw error(result, "blob") }
        return bytes
    }

    var changes: Int { Int(sqlite3_changes(handle)) }
    var isInTransaction: Bool { handle != nil && sqlite3_get_autocommit(handle) == 0 }

    /// Another connection writes for milliseconds at a time; past this something is stuck.
    static let busyMilliseconds: CInt = 5000

    /// What damage was seen since the last call, for whoever must know.
    func takeCorruption() -> SpoolError? {
        defer { corruption = nil }
        return corruption
    }

    /// Pages of log and database that a read has to walk round are found by such errors; the caller knows better.
    func forgiveCorruption() { corruption = nil }

    func setBusyTimeout(milliseconds: CInt) { sqlite3_busy_timeout(handle, milliseconds) }

    /// While a statement runs `watch` is called every few milliseconds; false ends the statement. Nil: not any more.
    func watch(_ watch: (() -> Bool)?) {
        // A closed connection has nothing left to watch, and SQLite does not ask whether it is one.
        guard handle != nil else { return }
        sqlite3_progress_handler(handle, 0, nil, nil)
        watcher?.release()
        watcher = watch.map { Unmanaged.passRetained(ProgressWatcher($0)) }
        guard let watcher else { return }
        sqlite3_progress_handler(handle, 50_000, { ProgressWatcher.call($0) }, watcher.toOpaque())
    }

    /// A scalar function of one argument; `release` is called with `context` when the connection is closed.
    func create(
        _ name: String, _ context: UnsafeMutableRawPointer,
        _ call: @convention(c) (OpaquePointer?, CInt, UnsafeMutablePointer<OpaquePointer?>?) -> Void,
        _ release: @convention(c) (UnsafeMutableRawPointer?) -> Void
    ) throws(SpoolError) {
        let result = sqlite3_create_function_v2(
            handle, name, 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, context, call, nil, nil, release)
        guard result == SQLITE_OK else { throw error(result, name) }
    }

    func close() {
        watch(nil)
        sqlite3_close_v2(handle)
        handle = nil
    }

    deinit { close() }

    func error(_ code: CInt, _ what: String) -> SpoolError {
        let text = handle == nil ? String(cString: sqlite3_errstr(code)) : String(cString: sqlite3_errmsg(handle))
        let message = "\(path): \(text) (SQLite \(code), \(what.prefix(40)))"
        switch code & 0xFF {
        case SQLITE_FULL: return .outOfSpace(message: message)
        case SQLITE_IOERR, SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_BUSY:
            return .unwritable(message: message)
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            corruption = .corrupt(message: message)
            return .corrupt(message: message)
        default: return .failed(message: message)
        }
    }
}

/// What SQLite asks, while a statement runs, whether to go on.
private final class ProgressWatcher {
    private let goesOn: () -> Bool

    init(_ goesOn: @escaping () -> Bool) { self.goesOn = goesOn }

    /// Non-zero interrupts: https://sqlite.org/c3ref/progress_handler.html
    static func call(_ context: UnsafeMutableRawPointer?) -> CInt {
        guard let context else { return 0 }
        return Unmanaged<ProgressWatcher>.fromOpaque(context).takeUnretainedValue().goesOn() ? 0 : 1
    }
}

/// A prepared statement; parameters are bound by position from 1, columns read from 0.
final class Statement {
    private let handle: OpaquePointer
    private unowned let database: Database

    init(_ handle: OpaquePointer, of database: Database) {
        self.handle = handle
        self.database = database
    }

    deinit { sqlite3_finalize(handle) }

    func bind(_ value: Int64, _ index: CInt) { sqlite3_bind_int64(handle, index, value) }
    func bind(_ value: Int, _ index: CInt) { sqlite3_bind_int64(handle, index, Int64(value)) }
    func bindNull(_ index: CInt) { sqlite3_bind_null(handle, index) }

    func bind(_ value: WallTime?, _ index: CInt) {
        if let value { bind(value.milliseconds, index) } else { bindNull(index) }
    }

    /// `bytes` must stay where they are until the statement has been stepped and reset.
    func bindUnowned(_ bytes: UnsafeRawBufferPointer, _ index: CInt) {
        guard let base = bytes.baseAddress else { return bindEmpty(index) }
        sqlite3_bind_blob64(handle, index, base, UInt64(bytes.count), nil)
    }

    /// Copies.
    func bind(_ bytes: some Collection<UInt8>, _ index: CInt) {
        let copied: Void? = bytes.withContiguousStorageIfAvailable { storage in
            guard let base = storage.baseAddress, storage.count > 0 else { return bindEmpty(index) }
            sqlite3_bind_blob64(handle, index, base, UInt64(storage.count), Self.transient)
        }
        if copied == nil { bind(Array(bytes), index) }
    }

    func bind(_ text: String, _ index: CInt) {
        sqlite3_bind_text(handle, index, text, -1, Self.transient)
    }

    private func bindEmpty(_ index: CInt) { sqlite3_bind_zeroblob(handle, index, 0) }

    /// True where there is a row to read.
    func step() throws(SpoolError) -> Bool {
        let result = sqlite3_step(handle)
        switch result {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default:
            sqlite3_reset(handle)
            throw database.error(result, String(cString: sqlite3_sql(handle)))
        }
    }

    /// Runs a statement that gives no rows, and makes it ready for the next time.
    func run() throws(SpoolError) {
        _ = try step()
        sqlite3_reset(handle)
    }

    func reset() { sqlite3_reset(handle) }

    func integer(_ column: CInt) -> Int64 { sqlite3_column_int64(handle, column) }
    func isNull(_ column: CInt) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    func time(_ column: CInt) -> WallTime? { isNull(column) ? nil : WallTime(milliseconds: integer(column)) }

    /// Valid until the next step or reset.
    func bytes(_ column: CInt) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_blob(handle, column)
        return UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
    }

    func text(_ column: CInt) -> String { String(decoding: bytes(column), as: UTF8.self) }

    /// SQLite's SQLITE_TRANSIENT: a macro with a cast that does not import.
    private static var transient: sqlite3_destructor_type? { unsafeBitCast(-1, to: sqlite3_destructor_type?.self) }
}
