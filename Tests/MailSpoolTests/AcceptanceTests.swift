// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// Part of the suite that every keeping must pass: jobs come in, and are there.
@Suite(.timeLimit(.minutes(2)))
struct AcceptanceTests {
    @Test("a job is kept as it was submitted", arguments: Shelf.Kind.allCases)
    func whole(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let chunk = try await stage.append(
            [
                Draft(body: #"{"to":"ä@example.com"}"#, priority: 7, kind: 1, attemptsMax: 3, expires: 60),
                Draft(body: "", due: 30),
            ], uid: 4_000_000_000)
        let ids = chunk.keptIDs
        #expect(ids.count == 2 && chunk.refusals.isEmpty)
        let first = try #require(await stage.ready(7, uid: 4_000_000_000).first)
        #expect(first.id == ids[0] && first.state == .ready && first.kind == 1 && first.priority == 7)
        #expect(first.uid == 4_000_000_000 && first.attempts == 0 && first.attemptsMax == 3 && first.fates == nil)
        #expect(first.expiresAt == TestClock.start + 60 && first.readyAt == ids[0].time)
        #expect(String(buffer: first.body) == #"{"to":"ä@example.com"}"#)
        let second = try #require(await stage.due(30).first)
        #expect(second.id == ids[1] && second.state == .scheduled && second.readyAt == TestClock.start + 30)
        #expect(second.body.readableBytes == 0)
        let shown = try #require(await stage.show(ids[0]))
        #expect(shown.state == .ready && shown.body == Array(#"{"to":"ä@example.com"}"#.utf8) && shown.history == [])
        #expect(shown.uid == 4_000_000_000 && shown.dueAt == nil && shown.finishedAt == nil)
    }

    @Test(
        "chunks come back in order and their ids rise, across reopening and a clock set back",
        arguments: Shelf.Kind.allCases)
    func identifiers(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        var ids: [JobID] = []
        var node: Int64?
        for round in 0..<4 {
            let chunks = (0..<10).map { stage.chunk([Draft](repeating: Draft(), count: $0 % 4)) }
            for part in stride(from: 0, to: 10, by: 3) { stage.spool.append(Array(chunks[part..<min(10, part + 3)])) }
            let back = await stage.probe.receipts(10)
            #expect(zip(back, chunks).allSatisfy { $0 === $1 })
            ids += back.flatMap(\.keptIDs)
            stage.clock.advance(wall: [0.001, -86_400, 0][round % 3])
            try stage.reopen()
            #expect(stage.spool.opened.lastID == ids.last)
            #expect(node == nil || node == stage.spool.opened.node)
            node = stage.spool.opened.node
        }
        #expect(ids.count == 52)
        #expect(zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 })
        #expect(ids.allSatisfy { $0.raw & (JobID.step - 1) == node })
        #expect(try await stage.list().map(\.id) == ids)
    }

    @Test(
        "past jobsMax the rest of a chunk is refused as full, and what ends makes room", arguments: Shelf.Kind.allCases)
    func jobsMax(_ kind: Shelf.Kind) async throws {
        var limits = SpoolLimits()
        limits.jobsMax = 3
        let stage = try Stage(kind, limits: limits)
        let first = try await stage.append([Draft](repeating: Draft(), count: 5))
        #expect(first.refusals.keys.sorted() == [3, 4])
        #expect(first.refusals.values.allSatisfy { if case .full = $0 { true } else { false } })
        var kept: [Int] = []
        first.forEachKept { index, _ in kept.append(index) }
        #expect(kept == [0, 1, 2])
        #expect(try await stage.append([Draft()]).refusals.count == 1)
        await stage.settle([Settlement(first.keptIDs[0], to: .delivered)])
        let second = try await stage.append([Draft(), Draft()])
        #expect(second.refusals.keys.sorted() == [1])
        #expect(stage.spool.tally.jobs == 3)
        #expect(try await stage.counted() == stage.spool.tally)
    }

    @Test("several chunks of one commit are counted together, whoever they are of", arguments: Shelf.Kind.allCases)
    func together(_ kind: Shelf.Kind) async throws {
        var limits = SpoolLimits()
        limits.jobsMax = 7
        let stage = try Stage(kind, limits: limits)
        let chunks = (0..<5).map { stage.chunk([Draft(), Draft(queue: 1)], uid: UInt32(1000 + $0 / 2)) }
        stage.spool.append(chunks)
        _ = await stage.probe.receipts(5)
        #expect(chunks.map(\.keptIDs.count) == [2, 2, 2, 1, 0])
        #expect(stage.spool.tally.jobs == 7)
        #expect(try await stage.counted() == stage.spool.tally)
    }

    @Test("past bytesMax only what does not fit is refused", arguments: Shelf.Kind.allCases)
    func bytesMax(_ kind: Shelf.Kind) async throws {
        var limits = SpoolLimits()
        limits.bytesMax = 10
        let stage = try Stage(kind, limits: limits)
        let bodies = ["12345678", "too long", "9", "1", "2"]
        let chunk = try await stage.append(bodies.map { Draft(body: $0) })
        #expect(chunk.refusals.keys.sorted() == [1, 4])
        #expect(try await stage.list().map { String(decoding: $0.body, as: UTF8.self) } == ["12345678", "9", "1"])
        #expect(zip(chunk.keptIDs, chunk.keptIDs.dropFirst()).allSatisfy { $0.advanced(by: 1) == $1 })
        #expect(stage.spool.tally.bytes == 10)
        #expect(try await stage.counted() == stage.spool.tally)
        #expect(stage.spool.isWritable)
    }

    @Test("raised limits count from the next chunk on", arguments: Shelf.Kind.allCases)
    func raised(_ kind: Shelf.Kind) async throws {
        var limits = SpoolLimits()
        limits.jobsMax = 1
        let stage = try Stage(kind, limits: limits)
        #expect(try await stage.append([Draft(), Draft()]).refusals.count == 1)
        limits.jobsMax = 2
        stage.spool.limits = limits
        #expect(try await stage.append([Draft()]).refusals.isEmpty)
    }

    @Test("a chunk without jobs comes back too", arguments: Shelf.Kind.allCases)
    func empty(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        #expect(try await stage.append([]).keptIDs == [])
        #expect(stage.spool.tally == Tally())
        #expect(stage.probe.noted.commits == [])
    }

    @Test("settings survive, the last word counts, nil removes", arguments: Shelf.Kind.allCases)
    func settings(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        for (name, value) in [("workers", "8 4"), ("paused", "yes"), ("workers", "12 4"), ("empty", "")] {
            stage.spool.set(name, to: value)
        }
        try stage.reopen()
        #expect(stage.spool.opened.settings["workers"] == "12 4")
        #expect(stage.spool.opened.settings["paused"] == "yes")
        #expect(stage.spool.opened.settings["empty"] == "")
        stage.spool.set("paused", to: nil)
        stage.spool.set("never there", to: nil)
        try stage.reopen()
        #expect(stage.spool.opened.settings["paused"] == nil)
        #expect(stage.spool.opened.settings["workers"] == "12 4")
    }

    @Test(
        "a large job waits without its line, which is read whole when it is asked for", arguments: Shelf.Kind.allCases)
    func large(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        // Longer than one piece of a read, and not a multiple of it.
        let text = String(repeating: "0123456789", count: 250_001)
        let bodies = [text, String(text.prefix(Limits.largeBodyBytes)), String(text.prefix(Limits.largeBodyBytes + 1))]
        let ids = try await stage.append(bodies.map { Draft(body: $0) } + [Draft(body: text, due: 5)]).keptIDs
        let waiting = try await stage.ready(limit: 10) + stage.due(10)
        #expect(waiting.map(\.length) == (bodies + [text]).map(\.utf8.count))
        #expect(waiting.map(\.body.readableBytes) == [0, Limits.largeBodyBytes, 0, 0])
        #expect(waiting.map(\.isLarge) == [true, false, true, true])
        for (id, body) in zip(ids, bodies + [text]) {
            let read = try await stage.ask { reading throws(SpoolError) in try reading.body(id) }
            #expect(read.map { String(buffer: $0) } == body)
        }
        await stage.settle([Settlement(ids[0], to: .delivered, bytes: text.utf8.count)])
        for id in [ids[0], JobID(raw: 5)] {
            #expect(try await stage.ask { reading throws(SpoolError) in try reading.body(id) } == nil)
        }
    }
}
