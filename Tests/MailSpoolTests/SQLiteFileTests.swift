// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import MailSpool
import Testing

/// What the SQLite keeping takes for a spool, and how it says no to the rest.
@Suite(.timeLimit(.minutes(2)))
struct SQLiteFileTests {
    /// A case of `SpoolError` without its message.
    enum Complaint: Equatable { case none, full, refused, unwritable, corrupt, tooNew, failed }

    static func complaint(_ path: String) -> Complaint {
        do throws(SpoolError) {
            try SQLiteKeeping(path: path, kinds: Shelf.kinds).close()
            return .none
        } catch {
            // Every complaint names the file.
            guard error.message.contains(path) else { return .none }
            switch error {
            case .full: return .full
            case .quota, .conflict: return .refused
            case .unwritable, .outOfSpace: return .unwritable
            case .corrupt: return .corrupt
            case .tooNew: return .tooNew
            case .failed: return .failed
            }
        }
    }

    /// A spool with three jobs, closed.
    static func spool() async throws -> Shelf {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft(), Draft(due: 1), Draft()]).keptIDs
        await stage.settle([Settlement(ids[2], to: .delivered)])
        stage.spool.close()
        return stage.shelf
    }

    static let job = "INSERT INTO jobs (id, state, priority, kind, uid, due, expires, body) VALUES"

    @Test(
        "the schema refuses rows that cannot be",
        arguments: [
            "\(job) (1, 4, 4, 1, 0, NULL, 9, x'7B7D')",
            "\(job) (1, 7, 4, 1, 0, NULL, 9, x'7B7D')",
            "\(job) (1, -1, 4, 1, 0, NULL, 9, x'7B7D')",
            "\(job) (1, NULL, 4, 1, 0, NULL, 9, x'7B7D')",
            "\(job) (1, 0, 10, 1, 0, NULL, 9, x'7B7D')",
            "\(job) (1, 0, -1, 1, 0, NULL, 9, x'7B7D')",
            "\(job) (1, 0, 4, NULL, 0, NULL, 9, x'7B7D')",
            "\(job) (1, 0, 4, 1, 0, 5, 9, x'7B7D')",
            "\(job) (1, 1, 4, 1, 0, NULL, 9, x'7B7D')",
            "\(job) (1, 2, 4, 1, 0, 5, 9, x'7B7D')",
            "\(job) (1, 3, 4, 1, 0, 5, 9, x'7B7D')",
            "\(job) (1, 0, 4, 1, 0, NULL, NULL, x'7B7D')",
            "\(job) (1, 0, 4, 1, 0, NULL, 9, NULL)",
            "\(job) ((SELECT min(id) FROM jobs), 0, 4, 1, 0, NULL, 9, x'7B7D')",
            "UPDATE jobs SET state = 4 WHERE state = 0",
            "UPDATE jobs SET state = 0 WHERE state = 1",
            "UPDATE jobs SET due = NULL WHERE state = 1",
            "INSERT INTO finished VALUES (1, 3, 1, 0, 1, 5, NULL, 0)",
            "INSERT INTO finished VALUES (1, 7, 1, 0, 1, 5, NULL, 0)",
            "INSERT INTO finished VALUES (1, 4, 1, 0, 1, NULL, NULL, 0)",
            "UPDATE jobs SET resumes = 5 WHERE state = 0",
            "INSERT INTO queues (name) VALUES ('default')",
            "INSERT INTO keys VALUES (1, 1, 'a', 1, x'', NULL, NULL), (1, 1, 'a', 2, x'', NULL, NULL)",
            "INSERT INTO finished SELECT * FROM finished",
            "INSERT INTO kinds (name) VALUES ('email')",
            "INSERT INTO tally VALUES (2, 0, 0)",
            "UPDATE tally SET finished = NULL",
            "INSERT INTO counts VALUES (0, 0, 1, NULL, 0, 0, 0, 0)",
            "INSERT INTO settings VALUES ('workers', NULL)",
            "INSERT INTO damaged VALUES (1, 5, NULL, 0, 0)",
            "INSERT INTO damaged VALUES (1, 5, 'why', 2, 0)",
        ])
    func constraints(_ sql: String) async throws {
        let shelf = try await Self.spool()
        let file = try RawDatabase(shelf.path)
        #expect(try file.isRefused(sql))
        // The same rows, whole, are taken: it was not the statement that was wrong.
        try file.execute("\(Self.job) (1, 0, 4, 1, 0, NULL, 9, x'7B7D'), (2, 1, 9, 1, 0, 5, 9, x'')")
        try file.execute("INSERT INTO finished VALUES (3, 6, 1, 0, 1, 5, NULL, 0)")
    }

    @Test("a spool of a later maild is refused as such, and left as it is")
    func tooNew() async throws {
        let shelf = try await Self.spool()
        try RawDatabase.at(shelf.path, "PRAGMA user_version = 4")
        let before = TemporaryDirectory.read(shelf.path)
        #expect(Self.complaint(shelf.path) == .tooNew)
        let isUntouched = TemporaryDirectory.read(shelf.path) == before
        #expect(isUntouched)
        try RawDatabase.at(shelf.path, "PRAGMA user_version = 3")
        #expect(Self.complaint(shelf.path) == .none)
    }

    @Test(
        "another program's SQLite file is refused and left as it is",
        arguments: [
            "CREATE TABLE t (x); INSERT INTO t VALUES (1)",
            "PRAGMA application_id = 77",
            "PRAGMA user_version = 1",
            "PRAGMA application_id = 77; CREATE TABLE jobs (id)",
            "PRAGMA application_id = \(0x6D6C_6431)",
            "PRAGMA application_id = \(0x6D6C_6431); PRAGMA user_version = -1",
        ])
    func foreign(_ sql: String) throws {
        let shelf = try Shelf(.sqlite)
        try RawDatabase.at(shelf.path, sql)
        let before = try #require(TemporaryDirectory.read(shelf.path))
        #expect(before.count > 0)
        #expect(Self.complaint(shelf.path) == .corrupt)
        let isUntouched = TemporaryDirectory.read(shelf.path) == before
        #expect(isUntouched)
        // And again: a refusal does not leave the lock behind.
        #expect(Self.complaint(shelf.path) == .corrupt)
    }

    @Test("what is no SQLite file is refused and left as it is", arguments: [2, 100, 4096, 20_000])
    func garbage(_ length: Int) throws {
        let shelf = try Shelf(.sqlite)
        let word = Array("garbage ".utf8)
        let bytes = (0..<length).map { word[$0 % word.count] }
        try TemporaryDirectory.write(bytes, to: shelf.path)
        #expect(Self.complaint(shelf.path) == .corrupt)
        let isUntouched = TemporaryDirectory.read(shelf.path) == bytes
        #expect(isUntouched)
    }

    @Test("an empty file becomes a spool")
    func empty() throws {
        let shelf = try Shelf(.sqlite)
        try TemporaryDirectory.write([], to: shelf.path)
        #expect(Self.complaint(shelf.path) == .none)
    }

    @Test(
        "a spool that lost something it cannot do without is corrupt",
        arguments: [
            "DELETE FROM tally", "DELETE FROM settings WHERE name = 'node'", "UPDATE settings SET value = 'x'",
            "DELETE FROM settings WHERE name = 'main_uid'",
        ])
    func incomplete(_ sql: String) async throws {
        let shelf = try await Self.spool()
        try RawDatabase.at(shelf.path, sql)
        #expect(Self.complaint(shelf.path) == .corrupt)
    }

    @Test("a spool whose pages were overwritten is corrupt")
    func overwritten() async throws {
        let shelf = try await Self.spool()
        var bytes = try #require(TemporaryDirectory.read(shelf.path))
        for index in 4096..<bytes.count { bytes[index] = 0xFF }
        try TemporaryDirectory.write(bytes, to: shelf.path)
        #expect(Self.complaint(shelf.path) == .corrupt)
    }

    @Test("a place where nothing can be written is told as such")
    func unwritable() throws {
        let shelf = try Shelf(.sqlite)
        #expect(Self.complaint("\(shelf.path)/in/no/directory") == .unwritable)
        try TemporaryDirectory.write([], to: shelf.path + ".file")
        #expect(Self.complaint("\(shelf.path).file/spool.db") == .unwritable)
        // The kernel's own directory takes no files, not even root's.
        #expect(Self.complaint("/proc/self/spool.db") == .unwritable)
        #expect(mkdir(shelf.path, 0o700) == 0)
        #expect(Self.complaint(shelf.path) == .unwritable)
        rmdir(shelf.path)
    }
}
