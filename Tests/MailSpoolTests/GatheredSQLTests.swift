// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CGatheredLog
import CSQLite
import Testing

/// SQLite over a gathered log: everybody sees what was committed, and nothing else.
@Suite(.timeLimit(.minutes(2)))
struct GatheredSQLTests {
    /// A database with a gathered log on a disk that may fail, and those who look at it without one.
    final class Desk {
        let disk: FaultyDisk
        let writer: RawDatabase
        private let directory: TemporaryDirectory

        var path: String { directory.path + "/db" }

        init(isPowersafe: Bool = true) throws {
            disk = FaultyDisk(isPowersafe: isPowersafe)
            directory = try TemporaryDirectory()
            let name = try #require(gathered_log(disk.name))
            writer = try RawDatabase(directory.path + "/db", vfs: String(cString: name))
            try writer.execute(
                """
                PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                CREATE TABLE rows (id INTEGER PRIMARY KEY, text); CREATE INDEX by_text ON rows (text);
                """)
            disk.reset()
        }

        /// A hundred rows, of 200 kB in all.
        static let insert =
            """
            INSERT INTO rows (text) WITH numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 100)
            SELECT hex(randomblob(1000)) FROM numbers
            """
        /// So small that pages are written long before the commit.
        func spill() throws { try writer.execute("PRAGMA cache_size = 10; PRAGMA cache_spill = 1") }

        static let digest =
            "SELECT count(*) || ' ' || total(id) || ' ' || total(length(text)) || ifnull(max(text), '') FROM rows"
        var atWriter: String? { get throws { try writer.text(Self.digest) } }
        /// Over a connection of its own, on the machine's own file system.
        var atReader: String? { get throws { try RawDatabase(path).text(Self.digest) } }
        var isWhole: Bool { get throws { try RawDatabase(path).text("PRAGMA integrity_check") == "ok" } }
    }

    @Test("a commit of some pages is one write and one sync")
    func oneWrite() throws {
        let desk = try Desk()
        for number in 1...20 {
            desk.disk.reset()
            try desk.writer.execute("INSERT INTO rows (text) VALUES (hex(randomblob(20000)))")
            #expect(desk.disk.count == 2, "commit \(number)")
            #expect(try desk.atReader == desk.atWriter)
        }
    }

    @Test(
        "a transaction larger than the cache is there after its commit, and not after a rollback",
        arguments: [true, false])
    func spilled(isPowersafe: Bool) throws {
        let desk = try Desk(isPowersafe: isPowersafe)
        try desk.spill()
        for (number, end) in ["COMMIT", "ROLLBACK", "COMMIT", "ROLLBACK", "ROLLBACK", "COMMIT"].enumerated() {
            let before = try desk.atReader
            desk.disk.reset()
            try desk.writer.execute("BEGIN; \(Desk.insert); UPDATE rows SET text = text || 'x' WHERE id % 7 = 0")
            #expect(desk.disk.count > 0, "\(number): nothing was spilled")
            #expect(try desk.atReader == before && desk.atWriter != before, "\(number)")
            let written = try desk.atWriter
            try desk.writer.execute(end)
            #expect(try desk.atReader == (end == "COMMIT" ? written : before), "\(number)")
            #expect(try desk.atWriter == desk.atReader && desk.isWhole, "\(number)")
        }
        try desk.writer.execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
        #expect(try desk.atWriter == desk.atReader && desk.isWhole)
    }

    @Test("frames of a transaction that was rolled back do not come down over another connection's")
    func rolledBack() throws {
        let desk = try Desk()
        try desk.spill()
        let other = try RawDatabase(desk.path)
        for number in 1...10 {
            try desk.writer.execute("BEGIN; \(Desk.insert); ROLLBACK")
            try other.execute("BEGIN; \(Desk.insert); COMMIT")
            let committed = try other.text(Desk.digest)
            #expect(try desk.atReader == committed, "\(number)")
            try desk.writer.execute("INSERT INTO rows (text) VALUES ('own \(number)')")
            #expect(try desk.atWriter == desk.atReader && desk.isWhole, "\(number)")
        }
        #expect(try desk.writer.text("SELECT count(*) FROM rows") == "1010")
    }

    @Test("a commit that finds no room is no commit", arguments: [SQLITE_FULL, SQLITE_IOERR], [true, false])
    func noRoom(_ code: CInt, isPowersafe: Bool) throws {
        let desk = try Desk(isPowersafe: isPowersafe)
        try desk.writer.execute(Desk.insert)
        let before = try desk.atReader
        for spills in [false, true] {
            if spills { try desk.spill() }
            desk.disk.reset()
            desk.disk.fail(at: 1, .write, code: code, isForGood: true)
            let failure = #expect(throws: RawDatabase.Failed.self) {
                try desk.writer.execute("BEGIN; \(Desk.insert); COMMIT")
            }
            #expect(failure.map { $0.code & 0xFF } == code & 0xFF)
            _ = try? desk.writer.execute("ROLLBACK")
            desk.disk.heal()
            #expect(try desk.atReader == before && desk.atWriter == before && desk.isWhole)
        }
        try desk.writer.execute(Desk.insert)
        #expect(try desk.atReader == desk.atWriter && desk.isWhole)
    }

    /// A question fails because what waits cannot be put down: the transaction goes on all the same, in SQLite's eyes.
    @Test(
        "after a read that failed for want of room a commit has all of its frames or fails", arguments: [true, false])
    func failedRead(isHealed: Bool) throws {
        let desk = try Desk()
        try desk.writer.execute(Desk.insert)
        try desk.spill()
        let before = try desk.atReader
        try desk.writer.execute("BEGIN; \(Desk.insert)")
        var wasRefused = false
        for id in 1...200 where !wasRefused {
            // Its pages are spilled, by and by, and others read.
            try? desk.writer.execute("UPDATE rows SET text = text || 'y' WHERE id = \(id)")
            desk.disk.reset()
            desk.disk.fail(at: 1, .write, code: SQLITE_FULL, isForGood: true)
            wasRefused = (try? desk.writer.text("SELECT text FROM rows WHERE id = \(201 - id)")) == nil
            if !wasRefused { desk.disk.heal() }
        }
        #expect(wasRefused)
        if isHealed { desk.disk.heal() }
        let written = try? desk.atWriter
        let isCommitted = (try? desk.writer.execute("COMMIT")) != nil
        _ = try? desk.writer.execute("ROLLBACK")
        desk.disk.heal()
        #expect(isHealed || !isCommitted)
        #expect(try desk.atReader == (isCommitted ? written : before))
        #expect(try desk.atReader == desk.atWriter && desk.isWhole)
    }
}

/// Whatever is done in whatever order, a plain SQLite beside it does the same.
@Suite(.timeLimit(.minutes(2)))
struct GatheredRandomTests {
    @Test(
        "random transactions leave what they leave without a gathered log",
        arguments: [1, 2, UInt64.random(in: 3...99_999)])
    func agrees(_ seed: UInt64) throws {
        var dice = Dice(state: seed)
        let desk = try GatheredSQLTests.Desk(isPowersafe: seed % 2 == 0)
        let directory = try TemporaryDirectory()
        let twin = try RawDatabase(directory.path + "/twin")
        try twin.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text); PRAGMA cache_size = 10")
        try desk.spill()
        try desk.writer.execute("PRAGMA wal_autocheckpoint = 60")
        for round in 0..<60 {
            for sql in Self.transaction(&dice) {
                try desk.writer.execute(sql)
                try twin.execute(sql)
            }
            let expected = try twin.text(GatheredSQLTests.Desk.digest)
            #expect(try desk.atReader == expected && desk.atWriter == expected, "seed \(seed), round \(round)")
            #expect(try desk.isWhole, "seed \(seed), round \(round)")
        }
    }

    private static func transaction(_ dice: inout Dice) -> [String] {
        var statements = ["BEGIN"]
        for _ in 0..<Int.random(in: 0..<12, using: &dice) {
            let (id, length) = (Int.random(in: 0..<80, using: &dice), Int.random(in: 0..<9000, using: &dice))
            switch Int.random(in: 0..<6, using: &dice) {
            case 0: statements += ["SAVEPOINT place"]
            case 1 where statements.contains("SAVEPOINT place"): statements += ["ROLLBACK TO place"]
            case 2: statements += ["DELETE FROM rows WHERE id % 9 = \(id % 9)"]
            default: statements += ["REPLACE INTO rows VALUES (\(id), printf('%0\(length)d', \(id)))"]
            }
        }
        return statements + [Int.random(in: 0..<3, using: &dice) == 0 ? "ROLLBACK" : "COMMIT"]
    }
}
