// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// Damage to a row is a value: the job is set aside and shown, and everybody else's goes on.
@Suite(.timeLimit(.minutes(2)))
struct DamageTests {
    static func raw(_ stage: Stage, _ sql: String) throws {
        try RawDatabase.at(stage.shelf.path, "PRAGMA ignore_check_constraints = 1; \(sql)")
    }

    /// Waits until what a reader has found is on record.
    static func recorded(_ stage: Stage, _ count: Int = 1) async {
        // The reader hands it over after its answer: one more question, then the writer's turns.
        _ = try? await stage.list(limit: 0)
        while stage.spool.health.damagedJobs < count || stage.probe.noted.damaged.count < count { await stage.turn() }
    }

    @Test("a body that was changed is never given to a worker: the job is held, with the reason, and the queue goes on")
    func body() async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft(), Draft(body: "{\"a\":1}"), Draft()]).keptIDs
        try Self.raw(stage, "UPDATE jobs SET body = x'7B2261223A327D' WHERE id = \(ids[1].raw)")
        #expect(try await stage.ready().map(\.id) == [ids[0], ids[2]])
        await Self.recorded(stage)
        #expect(stage.probe.noted.damaged.map(\.id) == [ids[1]])
        #expect((stage.spool.tally.ready, stage.spool.tally.held) == (2, 1))
        #expect(try await stage.counted() == stage.spool.tally)
        let shown = try #require(try await stage.show(ids[1]))
        #expect(shown.state == .held && shown.damage?.contains("checksum") == true)
        #expect(String(decoding: shown.history, as: UTF8.self).contains("\"event\":\"damaged\""))
        #expect(try await stage.list(.held).map(\.damage) == [shown.damage])
        // Looking again changes nothing.
        #expect(stage.probe.noted.damaged.count == 1)
        try stage.reopen()
        #expect(stage.spool.health.damagedJobs == 1)
        #expect(try await stage.ready().map(\.id) == [ids[0], ids[2]])
        #expect(try await stage.show(ids[1])?.damage == shown.damage)
        #expect(try await stage.counted() == stage.spool.opened.tally)
    }

    @Test(
        "values that cannot be are damage",
        arguments: [
            "priority = 77", "priority = -1", "uid = -5", "uid = 4294967296", "queue = 70000", "fates = x'0107'",
            "fates = x'FF'", "attempts = -1", "attempts_max = -7", "crashes = 99999999999", "expires = -1",
            "expires = 9999999999999999", "checksum = checksum + 1", "checksum = 0", "body = x''", "uid = uid + 1",
            "queue = 1", "priority = 5",
        ])
    func values(_ change: String) async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft(), Draft()]).keptIDs
        try Self.raw(stage, "UPDATE jobs SET \(change) WHERE id = \(ids[0].raw)")
        #expect(try await stage.ready().map(\.id) == [ids[1]])
        await Self.recorded(stage)
        #expect(try await stage.show(ids[0])?.state == .held)
        #expect(try await stage.list().first?.damage != nil)
        // Where it changed for whom it is counted, the next start counts all anew.
        try stage.reopen()
        #expect(try await stage.counted() == stage.spool.opened.tally)
        #expect(stage.spool.opened.tally.held == 1)
    }

    @Test("due jobs are judged as ready ones are", arguments: ["body = x''", "fates = x'09'", "lane = lane + 1"])
    func due(_ change: String) async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft(due: 1), Draft(due: 2), Draft(due: 3)]).keptIDs
        try Self.raw(stage, "UPDATE jobs SET \(change) WHERE id = \(ids[0].raw)")
        #expect(try await stage.due(9).map(\.id) == [ids[1], ids[2]])
        if change.hasPrefix("lane") { _ = try await stage.list() }
        await Self.recorded(stage)
        #expect((stage.spool.tally.scheduled, stage.spool.tally.held) == (2, 1))
        #expect(try await stage.show(ids[0])?.damage != nil)
    }

    @Test("a large line, which is read when its turn comes, is judged then")
    func large() async throws {
        let stage = try Stage(.sqlite)
        let body = String(repeating: "x", count: Limits.largeBodyBytes + 1)
        let ids = try await stage.append([Draft(body: body), Draft(body: body)]).keptIDs
        try Self.raw(stage, "UPDATE jobs SET body = CAST(body || 'y' AS BLOB) WHERE id = \(ids[0].raw)")
        #expect(try await stage.ready().map(\.id) == ids)
        let lengths = try await stage.ask { reading throws(SpoolError) in
            [try reading.body(ids[0])?.readableBytes, try reading.body(ids[1])?.readableBytes]
        }
        #expect(lengths == [nil, body.utf8.count])
        await Self.recorded(stage)
        #expect(stage.probe.noted.damaged.map(\.id) == [ids[0]])
        #expect(try await stage.ready().map(\.id) == [ids[1]])
    }

    @Test("a state that there is none is found by whoever looks at the job")
    func state() async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft(), Draft()]).keptIDs
        try Self.raw(stage, "UPDATE jobs SET state = 9 WHERE id = \(ids[0].raw)")
        #expect(try await stage.ready().map(\.id) == [ids[1]])
        #expect(try await stage.show(ids[0])?.state == .held)
        await Self.recorded(stage)
        try stage.reopen()
        #expect(try await stage.counted() == stage.spool.opened.tally)
    }

    @Test("a read that meets nothing but damage goes on behind it", arguments: [1, 3, 64, 1000])
    func many(_ limit: Int) async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft](repeating: Draft(), count: 200)).keptIDs
        let due = try await stage.append([Draft](repeating: Draft(due: 1), count: 200)).keptIDs
        for (from, to) in [(ids[0], ids[149]), (due[0], due[149])] {
            try Self.raw(stage, "UPDATE jobs SET body = x'0000' WHERE id BETWEEN \(from.raw) AND \(to.raw)")
        }
        let found = try await stage.ready(limit: limit)
        #expect(!found.isEmpty && found.map(\.id) == ids[150...].prefix(found.count).map(\.self))
        let overdue = try await stage.due(5, limit: limit)
        #expect(!overdue.isEmpty && overdue.map(\.id) == due[150...].prefix(overdue.count).map(\.self))
        await Self.recorded(stage)
        _ = try await stage.list()
        await Self.recorded(stage, 300)
        #expect((stage.spool.tally.ready, stage.spool.tally.scheduled, stage.spool.tally.held) == (50, 50, 300))
        #expect(try await stage.counted() == stage.spool.tally)
    }

    @Test("a damaged job can be cancelled or purged, and nothing else", arguments: JobChange.allCases)
    func verbs(_ verb: JobChange) async throws {
        let stage = try Stage(.sqlite)
        let key = IdempotencyKey(name: [1], digest: [2])
        let ids = try await stage.append([Draft(key: key), Draft()]).keptIDs
        try Self.raw(stage, "UPDATE jobs SET body = x'0000' WHERE id = \(ids[0].raw)")
        _ = try await stage.ready()
        await Self.recorded(stage)
        let outcome = try await stage.change(verb, [ids[0]])
        let isGone = verb == .cancel || verb == .purge
        #expect(outcome.changed.map(\.id) == (isGone ? [ids[0]] : []))
        #expect(stage.spool.health.damagedJobs == (isGone ? 0 : 1))
        #expect(try await stage.show(ids[0])?.state == (verb == .purge ? nil : isGone ? .cancelled : .held))
        #expect(try await stage.ready().map(\.id) == [ids[1]])
        #expect(try await stage.due(1e6).isEmpty)
        #expect(try await stage.counted() == stage.spool.tally)
        try stage.reopen()
        #expect(try await stage.counted() == stage.spool.opened.tally)
        // A repeat is a repeat all the same.
        #expect(try await stage.append([Draft(key: key)]).repeats.count == 1)
    }

    @Test("an attempt that was made from memory ends as it ended, though its row was damaged meanwhile")
    func inHand() async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft(), Draft(), Draft()]).keptIDs
        try Self.raw(stage, "UPDATE jobs SET body = x'00FF' WHERE id < \(ids[2].raw)")
        _ = try await stage.list()
        await Self.recorded(stage, 2)
        await stage.settle([Settlement(ids[0], to: .delivered), Settlement(ids[1], to: .scheduled, due: 5)])
        #expect(try await stage.show(ids[0])?.state == .delivered)
        #expect(try await stage.show(ids[1])?.state == .held)
        #expect(stage.spool.health.damagedJobs == 1)
        #expect((stage.spool.tally.ready, stage.spool.tally.held, stage.spool.tally.finished) == (1, 1, 1))
        #expect(try await stage.counted() == stage.spool.tally)
        #expect(stage.probe.noted.errors == [])
    }

    @Test("a kind that finds the row damaged has the job held for good")
    func byKind() async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft(), Draft()]).keptIDs
        var end = Settlement(ids[0], to: .held, attempts: 0, fates: [.open])
        end.damage = "one recipient too few"
        await stage.settle([end])
        #expect(stage.probe.noted.damaged == [DamagedRow(id: ids[0], reason: "one recipient too few")])
        #expect(try await stage.show(ids[0])?.damage == "one recipient too few")
        #expect(try await stage.change(.release, [ids[0]]).changed.isEmpty)
        #expect(try await stage.counted() == stage.spool.tally)
    }

    @Test("what is whole at a second look is left alone, and so is what is gone")
    func secondLook() throws {
        let shelf = try Shelf(.sqlite)
        let keeping = try shelf.open()
        defer { keeping.close() }
        let rows = [DamagedRow(id: JobID(raw: 1024), reason: "none"), DamagedRow(id: JobID(raw: 5), reason: "none")]
        var batch = Batch()
        batch.chunks = [Draft.chunk([Draft()], now: TestClock.start, uid: 1, sink: Probe())]
        batch.chunks[0].firstID = JobID(raw: 1024)
        batch.tally.add(.ready, jobs: 1, bytes: 2, in: JobGroup(uid: 1, kind: 0))
        batch.touched = [JobGroup(uid: 1, kind: 0)]
        let tally = try keeping.commit(batch)
        let outcome = try keeping.setAside(rows, at: TestClock.start, tally: tally)
        #expect(outcome.tally == tally && outcome.changed.isEmpty && keeping.takeRecorded().isEmpty)
    }

    @Test("more damage than an accident makes is taken for the file's, and nothing is written any more")
    func tooMany() async throws {
        let stage = try Stage(.sqlite)
        try await stage.append([Draft](repeating: Draft(), count: Limits.damagedJobsMax + 5))
        try Self.raw(stage, "UPDATE jobs SET body = x'00'")
        _ = try await stage.list(limit: .max)
        while stage.spool.health.refusal != .damaged { await stage.turn() }
        #expect(stage.probe.noted.errors.count == 1)
        let chunk = try await stage.append([Draft()])
        #expect(chunk.refusals[0].map { if case .corrupt = $0 { true } else { false } } == true)
        stage.spool.close()
        #expect(throws: SpoolError.self) { try stage.shelf.open() }
    }
}
