// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CGatheredLog
import CSQLite
import Testing

/// What a transaction writes to its log waits for the sync, and nobody can tell but by counting the writes.
@Suite struct GatheredLogTests {
    /// Each step with the operations that the disk has seen after it.
    struct Course: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var steps: [(LogFile.Step, Int)]

        init(_ testDescription: String, _ steps: [(LogFile.Step, Int)]) {
            self.testDescription = testDescription
            self.steps = steps
        }
    }

    static let courses = [
        Course(
            "what follows on goes down with it by one write",
            [(.write(24, at: 0), 0), (.write(4096, at: 24), 0), (.write(24, at: 4120), 0), (.sync, 2)]),
        Course("what comes after a sync does not wait", [(.write(9, at: 0), 0), (.sync, 2), (.write(9, at: 9), 3)]),
        Course(
            "what comes after the sync of a log's header does",
            [(.write(32, at: 0), 0), (.sync, 2), (.write(24, at: 32), 2), (.sync, 4), (.write(9, at: 56), 5)]),
        Course("a sync of nothing is a sync, and ends the waiting", [(.sync, 1), (.write(9, at: 0), 2), (.sync, 3)]),
        Course("a gap", [(.write(9, at: 0), 0), (.write(9, at: 20), 1), (.write(9, at: 29), 1), (.sync, 3)]),
        Course(
            "an earlier place is written anew",
            [(.write(50, at: 0), 0), (.write(50, at: 50), 0), (.write(10, at: 20), 1), (.sync, 3)]),
        Course("the end is written anew", [(.write(50, at: 0), 0), (.write(50, at: 49), 1), (.sync, 3)]),
        Course("a place twice", [(.write(50, at: 0), 0), (.write(50, at: 0), 1), (.write(9, at: 50), 1), (.sync, 3)]),
        Course(
            "what waits is read", [(.write(50, at: 0), 0), (.read(20, at: 10), 1), (.write(9, at: 50), 1), (.sync, 3)]),
        Course("what waits is counted", [(.write(50, at: 0), 0), (.size, 1), (.size, 1), (.sync, 2)]),
        Course(
            "what waits is cut off",
            [(.write(50, at: 0), 0), (.truncate(to: 20), 2), (.write(9, at: 20), 2), (.size, 3), (.sync, 4)]),
        Course("a question to the file", [(.write(50, at: 0), 0), (.control, 1), (.write(9, at: 50), 1), (.sync, 3)]),
        Course(
            "as much as goes down at once",
            [(.write(65_536, at: 0), 0), (.write(65_535, at: 65_536), 0), (.write(9, at: 131_071), 1), (.sync, 3)]),
        Course(
            "one byte more", [(.write(65_536, at: 0), 0), (.write(65_536, at: 65_536), 1), (.size, 2), (.sync, 3)]),
    ]

    @Test("the file is what was written, in as few writes", arguments: courses)
    func course(_ course: Course) throws {
        let file = try LogFile()
        for (number, (step, count)) in course.steps.enumerated() {
            #expect(file.take(step) == SQLITE_OK, "step \(number)")
            #expect(file.disk.count == count, "step \(number): \(step)")
        }
        #expect(file.take(.sync) == SQLITE_OK)
        #expect(file.isAsWritten)
        try file.database.execute("ROLLBACK")
    }

    @Test("without the lock of whoever writes nothing waits")
    func unlocked() throws {
        let file = try LogFile()
        #expect(file.take(.write(50, at: 0)) == SQLITE_OK)
        try file.database.execute("ROLLBACK")
        #expect(file.disk.count == 1 && file.isAsWritten)
        #expect(file.take(.write(50, at: 50)) == SQLITE_OK)
        #expect(file.disk.count == 2 && file.isAsWritten)
    }

    @Test(
        "what could not be put down stands in the way of everything else, until it can",
        arguments: [SQLITE_FULL, SQLITE_IOERR])
    func stays(_ code: CInt) throws {
        let file = try LogFile()
        #expect(file.take(.write(5000, at: 0)) == SQLITE_OK)
        file.disk.fail(at: 1, .write, code: code, isForGood: true)
        for step in [LogFile.Step.sync, .read(10, at: 0), .size, .truncate(to: 0), .control, .sync] {
            #expect(file.take(step) == code, "\(step)")
        }
        file.disk.heal()
        #expect(file.take(.write(9, at: 5000)) == SQLITE_OK)
        #expect(file.take(.sync) == SQLITE_OK)
        #expect(file.isAsWritten)
    }

    @Test("what could not be put down is forgotten with its transaction")
    func forgotten() throws {
        let file = try LogFile()
        #expect(file.take(.write(5000, at: 100)) == SQLITE_OK)
        file.disk.fail(at: 1, .write, code: SQLITE_FULL, isForGood: true)
        try file.database.execute("ROLLBACK")
        file.disk.heal()
        // Somebody else's frames are there by now.
        try RawDatabase(file.path).execute("INSERT INTO rows VALUES (1, hex(zeroblob(9000)))")
        try file.database.execute("INSERT INTO rows VALUES (2, 'b')")
        #expect(try RawDatabase(file.path).text("SELECT total(length(text)) FROM rows") == "18001.0")
        #expect(try file.database.text("PRAGMA integrity_check") == "ok")
    }

    @Test("there is one for each file system, and none for one that is not there")
    func names() throws {
        let disk = FaultyDisk()
        let name = try #require(gathered_log(disk.name))
        #expect(gathered_log(disk.name) == name && gathered_log(nil) == gathered_log(nil))
        #expect(gathered_log(nil) != name && gathered_log("no such file system") == nil)
    }
}

/// The log of a connection that is about to write, and what it must hold.
final class LogFile {
    let disk = FaultyDisk(isPowersafe: true)
    let database: RawDatabase
    private let directory: TemporaryDirectory
    private let file: UnsafeMutablePointer<sqlite3_file>
    private let methods: sqlite3_io_methods
    private var expected: [UInt8] = []
    private var filler: UInt8 = 0

    enum Step: Sendable {
        case write(Int, at: Int), read(Int, at: Int), truncate(to: Int)
        case sync, size, control
    }

    var path: String { directory.path + "/db" }

    init() throws {
        directory = try TemporaryDirectory()
        let name = try #require(gathered_log(disk.name))
        database = try RawDatabase(directory.path + "/db", vfs: String(cString: name))
        try database.execute("PRAGMA journal_mode = WAL; CREATE TABLE rows (id INTEGER PRIMARY KEY, text)")
        try database.execute("PRAGMA wal_checkpoint(TRUNCATE); BEGIN IMMEDIATE")
        file = try #require(database.log)
        methods = file.pointee.pMethods.pointee
        disk.reset()
    }

    /// - Returns: SQLite's code; what a read or a size found is compared here.
    func take(_ step: Step) -> CInt {
        switch step {
        case .write(let length, let offset): return write(length, offset)
        case .sync: return methods.xSync?(file, SQLITE_SYNC_NORMAL) ?? SQLITE_MISUSE
        case .truncate(let size):
            let code = methods.xTruncate?(file, Int64(size)) ?? SQLITE_MISUSE
            if code == SQLITE_OK { expected.removeLast(expected.count - size) }
            return code
        case .read(let length, let offset):
            var bytes = [UInt8](repeating: 0, count: length)
            let code = methods.xRead?(file, &bytes, CInt(length), Int64(offset)) ?? SQLITE_MISUSE
            if code == SQLITE_OK { #expect(bytes == Array(expected[offset..<offset + length])) }
            return code
        case .size:
            var size: Int64 = -1
            let code = methods.xFileSize?(file, &size) ?? SQLITE_MISUSE
            if code == SQLITE_OK { #expect(size == expected.count) }
            return code
        case .control:
            var moved: CInt = 0
            return methods.xFileControl?(file, SQLITE_FCNTL_HAS_MOVED, &moved) ?? SQLITE_MISUSE
        }
    }

    /// Bytes unlike those of the write before.
    private func write(_ length: Int, _ offset: Int) -> CInt {
        filler += 1
        let bytes = [UInt8](repeating: filler, count: length)
        let code = methods.xWrite?(file, bytes, CInt(length), Int64(offset)) ?? SQLITE_MISUSE
        guard code == SQLITE_OK else { return code }
        if expected.count < offset + length {
            expected += [UInt8](repeating: 0, count: offset + length - expected.count)
        }
        expected.replaceSubrange(offset..<offset + length, with: bytes)
        return code
    }

    var isAsWritten: Bool { TemporaryDirectory.read(path + "-wal") == expected }
}
