// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CSQLite

/// A SQLite file as some other program would open it.
final class RawDatabase {
    private var handle: OpaquePointer?

    struct Failed: Error {
        var code: CInt
        var message: String
    }

    /// - Parameter vfs: SQLite's name for the file system underneath; nil for the machine's own.
    init(_ path: String, vfs: String? = nil) throws {
        let code = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs)
        guard code == SQLITE_OK else { throw Failed(code: code, message: "open") }
    }

    deinit { sqlite3_close_v2(handle) }

    func execute(_ sql: String) throws {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw Failed(code: code, message: String(cString: sqlite3_errmsg(handle))) }
    }

    /// SQLite's handle of the log; nil before there is one.
    var log: UnsafeMutablePointer<sqlite3_file>? {
        var file: UnsafeMutablePointer<sqlite3_file>?
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file)
        return file
    }

    /// True where a constraint of the schema refused the statement.
    func isRefused(_ sql: String) throws -> Bool {
        do {
            try execute(sql)
            return false
        } catch let error as Failed where error.code & 0xFF == SQLITE_CONSTRAINT {
            return true
        }
    }

    func text(_ sql: String) throws -> String? {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v2(handle, sql, -1, &statement, nil)
        defer { sqlite3_finalize(statement) }
        guard code == SQLITE_OK else { throw Failed(code: code, message: String(cString: sqlite3_errmsg(handle))) }
        guard sqlite3_step(statement) == SQLITE_ROW, let text = sqlite3_column_text(statement, 0) else { return nil }
        return String(cString: text)
    }

    /// Does something to the file at `path` and closes it again.
    static func at(_ path: String, _ sql: String) throws { try RawDatabase(path).execute(sql) }
}
