// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailSpool
import PostgreSQL

/// Where the suite's jobs are kept. A new keeping gets a case here, and every test of the suite runs against it.
final class Shelf: Sendable {
    enum Kind: String, CaseIterable, Sendable { case memory, sqlite, postgresql }

    let kind: Kind
    private let memory = MemoryKeeping()
    let directory: TemporaryDirectory
    /// SQLite's name for the file system underneath; nil for the machine's own.
    private let vfs: String?
    /// Of a PostgreSQL that is shared by all shelves.
    private let location: FleetLocation?

    init(_ kind: Kind, vfs: String? = nil) throws {
        self.kind = kind
        self.vfs = vfs
        location = kind == .postgresql ? try PostgreSQLServer.location() : nil
        directory = try TemporaryDirectory()
    }

    static let kinds = ["email", "webhook"]

    /// Of the database; a memory keeping has none.
    var path: String { directory.path + "/spool.db" }

    /// May be called again after a close, and finds what was there.
    func open() throws(SpoolError) -> any Keeping {
        switch kind {
        case .memory: memory
        case .sqlite:
            try Self.opened(SQLiteKeeping(path: path, kinds: Self.kinds, vfs: vfs), checkpoints: vfs != nil)
        case .postgresql: try open(node: "shelf")
        }
    }

    private static func opened(_ keeping: SQLiteKeeping, checkpoints: Bool) throws(SpoolError) -> SQLiteKeeping {
        if checkpoints { try keeping.checkpoint(everyPages: FaultRun.checkpointPages) }
        return keeping
    }

    /// One of several nodes that share what is kept.
    /// - Parameter place: of its state on disk; nil: the one that belongs to its name.
    /// - Parameter furtherSteps: of a later maild, to formats of its own.
    func open(
        node: String, beside place: String? = nil, furtherSteps: [[String]] = []
    ) throws(SpoolError) -> PostgreSQLKeeping {
        guard let location else { throw .failed(message: "\(kind) cannot be shared") }
        return try PostgreSQLKeeping(
            location, node: node, statePath: "\(path).\(place ?? node)", kinds: Self.kinds,
            furtherSteps: furtherSteps)
    }

    /// A statement that gives nothing, in the schema of this shelf.
    func run(_ statement: String) throws {
        guard let location else { return }
        let connection = try Connection(location.uri, application: "test")
        try connection.run("SET search_path = \"\(location.schema)\"")
        try connection.run(statement)
    }

    /// As if a later maild had been there.
    func setFormat(_ version: Int) throws {
        guard let location else { return }
        let connection = try Connection(location.uri, application: "test")
        try connection.run("UPDATE \"\(location.schema)\".format SET version = $1", [.integer(version)])
    }
}

/// A directory that is gone with its owner.
final class TemporaryDirectory: Sendable {
    let path: String

    struct Failed: Error { var reason: String }

    init() throws {
        var template = Array("\(P_tmpdir)/maild-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Failed(reason: String(cString: strerror(errno))) }
        path = String(cString: made)
    }

    deinit {
        for name in names { unlink(path + "/" + name) }
        rmdir(path)
    }

    var names: [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Nil where there is no such file.
    static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&part, 1, part.count, file), count > 0 { bytes += part[..<count] }
        return bytes
    }

    static func write(_ bytes: [UInt8], to path: String) throws {
        guard let file = fopen(path, "w") else { throw Failed(reason: String(cString: strerror(errno))) }
        defer { fclose(file) }
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Failed(reason: "\(path): short") }
    }
}
