// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// What the SQLite keeping alone promises: the file is found again, whatever ended the daemon.
@Suite(.timeLimit(.minutes(2)))
struct SQLiteRecoveryTests {
    @Test("a close leaves one whole file, from which all is found again")
    func closed() async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append((0..<50).map { Draft(body: "job \($0)", priority: $0 % 10) }).keptIDs
        await stage.settle([Settlement(ids[0], to: .delivered, bytes: 5), Settlement(ids[1], to: .held, bytes: 5)])
        let before = stage.spool.tally
        stage.spool.close()
        #expect(TemporaryDirectory.read(stage.shelf.path + "-wal") == nil)
        #expect(try RawDatabase(stage.shelf.path).text("PRAGMA integrity_check") == "ok")
        try stage.reopen()
        #expect(stage.spool.opened.tally == before)
        #expect(try await stage.counted() == before)
        #expect(try await stage.list().map(\.id) == Array(ids.dropFirst()))
    }

    @Test(
        "a file and its log copied in the middle, as a crash leaves them, hold all that was answered", arguments: 1...6)
    func crashed(_ rounds: Int) async throws {
        let stage = try Stage(.sqlite)
        var expected: [JobID] = []
        for round in 0..<rounds {
            let ids = try await stage.append((0..<40).map { Draft(body: "round \(round) job \($0)") }).keptIDs
            await stage.settle(ids.prefix(10).map { Settlement($0, to: .delivered, bytes: 13) })
            expected += ids.dropFirst(10)
        }
        stage.spool.set("workers", to: "12 8")
        await stage.turn()
        let wal = try #require(TemporaryDirectory.read(stage.shelf.path + "-wal"))
        #expect(wal.count > 4096 * rounds)
        let copy = try Shelf(.sqlite)
        try TemporaryDirectory.write(try #require(TemporaryDirectory.read(stage.shelf.path)), to: copy.path)
        try TemporaryDirectory.write(wal, to: copy.path + "-wal")
        let found = try copy.open()
        defer { found.close() }
        #expect(found.opened.tally == stage.spool.tally)
        #expect(found.opened.lastID == expected.last)
        #expect(found.opened.node == stage.spool.opened.node)
        #expect(found.opened.settings["workers"] == "12 8")
        let reading = try found.reading()
        defer { reading.close() }
        #expect(try reading.list(state: nil, after: JobID(raw: 0), limit: .max).map(\.id) == expected)
        #expect(try reading.list(state: .delivered, after: JobID(raw: 0), limit: .max).count == 10 * rounds)
    }

    @Test("a log torn in its last commit costs that commit alone")
    func torn() async throws {
        let stage = try Stage(.sqlite)
        let kept = try await stage.append([Draft](repeating: Draft(), count: 20)).keptIDs
        let length = try #require(TemporaryDirectory.read(stage.shelf.path + "-wal")).count
        try await stage.append([Draft](repeating: Draft(), count: 20))
        let wal = try #require(TemporaryDirectory.read(stage.shelf.path + "-wal"))
        #expect(wal.count > length)
        let copy = try Shelf(.sqlite)
        try TemporaryDirectory.write(try #require(TemporaryDirectory.read(stage.shelf.path)), to: copy.path)
        try TemporaryDirectory.write(Array(wal[..<(wal.count - 100)]), to: copy.path + "-wal")
        let found = try copy.open()
        defer { found.close() }
        #expect(found.opened.tally.ready == 20)
        #expect(found.opened.lastID == kept.last)
    }

    @Test("kinds keep their jobs when the daemon lists them otherwise, and one it no longer knows is told apart")
    func kinds() async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft(kind: 0), Draft(kind: 1)]).keptIDs
        stage.spool.close()
        for (kinds, found) in [
            (["webhook", "email"], [1, 0]), (["push", "email"], [1, 2]), (["email"], [0, 1]),
        ] {
            let keeping = try SQLiteKeeping(path: stage.shelf.path, kinds: kinds)
            defer { keeping.close() }
            let reading = try keeping.reading()
            defer { reading.close() }
            let jobs = try reading.ready(Lane(uid: 1000), after: JobID(raw: 0), limit: 10, bytesMax: 100)
            #expect(jobs.map(\.id) == ids)
            #expect(jobs.map(\.kind) == found.map { UInt8($0) })
            #expect(Set(keeping.opened.tally.groups.keys.map(\.kind)) == Set(found.map { UInt8($0) }))
        }
    }

    @Test("the bytes on disk are those of the files")
    func storedBytes() async throws {
        let stage = try Stage(.sqlite)
        try await stage.append([Draft(body: String(repeating: "x", count: 100_000))])
        let sizes = ["", "-wal", "-shm"].map { TemporaryDirectory.read(stage.shelf.path + $0)?.count ?? 0 }
        #expect(stage.spool.storedBytes() == sizes.reduce(0, +))
        #expect(stage.spool.storedBytes() > 100_000)
    }
}
