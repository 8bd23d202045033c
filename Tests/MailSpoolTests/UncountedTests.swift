// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// The tally on disk lags behind the newest jobs; whatever ends the daemon, a start finds the right one.
@Suite(.timeLimit(.minutes(2)))
struct UncountedTests {
    /// What another start finds of the files as they are now, in the middle of everything.
    private func crash(_ stage: Stage) throws -> OpenedSpool {
        let copy = try Shelf(.sqlite)
        for suffix in ["", "-wal"] {
            let bytes = try #require(TemporaryDirectory.read(stage.shelf.path + suffix))
            try TemporaryDirectory.write(bytes, to: copy.path + suffix)
        }
        let found = try copy.open()
        defer { found.close() }
        return found.opened
    }

    private func onDisk(_ stage: Stage) throws -> String? {
        try RawDatabase(stage.shelf.path).text("SELECT coalesce(sum(ready + scheduled + held + failed), 0) FROM counts")
    }

    @Test("new jobs of all sorts are counted by a start, and not written down before")
    func sorts() async throws {
        let stage = try Stage(.sqlite)
        try await stage.append([Draft(kind: 0), Draft(kind: 1), Draft(due: 60), Draft(body: "long", priority: 7)])
        try await stage.append([Draft(), Draft()], uid: 1001)
        #expect(try onDisk(stage) == "0")
        let found = try crash(stage)
        #expect(found.tally == stage.spool.tally && found.tally.jobs == 6)
        let last = try await stage.list().last?.id
        #expect(found.lastID == last)
    }

    @Test("past some thousands they are written down", arguments: [4097, 9000])
    func many(_ count: Int) async throws {
        let stage = try Stage(.sqlite)
        try await stage.append([Draft](repeating: Draft(), count: count))
        #expect(try onDisk(stage) == "\(count)")
        try await stage.append([Draft(), Draft()])
        #expect(try onDisk(stage) == "\(count)")
        #expect(try crash(stage).tally == stage.spool.tally)
    }

    @Test("so they are with whatever else is committed: an end, a verb")
    func others() async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft](repeating: Draft(), count: 10)).keptIDs
        try await stage.change(.hold, [ids[3]])
        #expect(try onDisk(stage) == "10")
        #expect(try crash(stage).tally == stage.spool.tally)
        let more = try await stage.append([Draft(), Draft(kind: 1)], uid: 7).keptIDs
        await stage.settle([Settlement(ids[0], to: .delivered)])
        #expect(try onDisk(stage) == "11")
        #expect(try crash(stage).tally == stage.spool.tally)
        #expect(try crash(stage).lastID == more.last)
    }

    @Test("jobs of another spool are not counted twice, be their ids before or behind our own")
    func imported() async throws {
        let stage = try Stage(.sqlite)
        let node = stage.spool.opened.node
        try await stage.append([Draft()])
        let jobs = [-100.0, 1000].map { seconds in
            ImportedJob(
                id: JobID.first(at: TestClock.start + seconds, node: (node + 1) % JobID.step),
                group: JobGroup(uid: 2000, kind: 0), state: .scheduled, dueAt: TestClock.start + 60,
                expiresAt: TestClock.start + 5000, body: Array("{}".utf8))
        }
        #expect(try await stage.take(jobs) == [.imported, .imported])
        #expect(try crash(stage).tally == stage.spool.tally)
        try await stage.append([Draft(), Draft()])
        let found = try crash(stage)
        #expect(found.tally == stage.spool.tally && found.tally.jobs == 5)
        #expect(found.lastID.raw % JobID.step == node)
    }

    @Test("a close writes them down, and leaves alone what was forgotten meanwhile")
    func closed() async throws {
        var limits = SpoolLimits()
        limits.historySeconds = 100
        let stage = try Stage(.sqlite, limits: limits)
        _ = try await PruneTests.finish(stage, 3)
        try await stage.append([Draft(), Draft()])
        stage.clock.advance(wall: 200)
        await PruneTests.prune(stage)
        let before = stage.spool.tally
        #expect(before.finished == 0)
        stage.spool.close()
        #expect(try onDisk(stage) == "2")
        #expect(try RawDatabase(stage.shelf.path).text("SELECT finished FROM tally") == "0")
        try stage.reopen()
        #expect(stage.spool.opened.tally == before)
    }

    @Test("a start that recovers from a crash counts them too")
    func recovered() async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft](repeating: Draft(), count: 5)).keptIDs
        let copy = try Shelf(.sqlite)
        for suffix in ["", "-wal"] {
            let bytes = try #require(TemporaryDirectory.read(stage.shelf.path + suffix))
            try TemporaryDirectory.write(bytes, to: copy.path + suffix)
        }
        let found = try copy.open()
        #expect(try found.recover(inHand: [ids[1]], at: stage.clock.now()).again == [ids[1]])
        found.close()
        let again = try copy.open()
        defer { again.close() }
        #expect(again.opened.tally == found.opened.tally && again.opened.tally.jobs == 5)
        #expect(again.opened.lastID == ids.last)
    }
}
