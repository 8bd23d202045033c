// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// Part of the suite that every keeping must pass: attempts end, and what they left is there.
@Suite(.timeLimit(.minutes(2)))
struct SettlementTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var state: JobState
        var due: Double?
        var testDescription: String { state.name }
    }

    static let cases = [
        Case(state: .ready), Case(state: .scheduled, due: 60), Case(state: .held), Case(state: .failed),
        Case(state: .delivered), Case(state: .cancelled), Case(state: .expired),
    ]

    @Test("each question knows what became of a job", arguments: Shelf.Kind.allCases, cases)
    func becomes(_ kind: Shelf.Kind, _ end: Case) async throws {
        let stage = try Stage(kind)
        let ids = try await stage.append([Draft(), Draft(due: 10)]).keptIDs
        for (id, was) in [(ids[0], JobState.ready), (ids[1], .scheduled)] {
            await stage.settle([Settlement(id, from: was, to: end.state, due: end.due, history: "one\n")])
            #expect(try await stage.counted() == stage.spool.tally)
        }
        #expect(try await stage.ready().map(\.id) == (end.state == .ready ? ids : []))
        #expect(try await stage.due(59).isEmpty)
        #expect(try await stage.due(60).map(\.id) == (end.state == .scheduled ? ids : []))
        let (next, count) = try await stage.ask { reading throws(SpoolError) in
            (
                try reading.nextDue(after: TestClock.start),
                try reading.dueCount(at: TestClock.start + 60, limit: 10)
            )
        }
        #expect(next == end.due.map { TestClock.start + $0 })
        #expect(count == (end.state == .scheduled ? 2 : 0))
        for state in JobState.allCases {
            #expect(try await stage.list(state).map(\.id) == (state == end.state ? ids : []))
        }
        #expect(try await stage.list().map(\.id) == (end.state.isFinal ? [] : ids))
    }

    @Test("a finished job keeps its history and gives up its body", arguments: Shelf.Kind.allCases, cases)
    func shown(_ kind: Shelf.Kind, _ end: Case) async throws {
        let stage = try Stage(kind)
        let id = try await stage.append([Draft(priority: 9)]).keptIDs[0]
        let ended = TestClock.start + 5
        await stage.settle(
            [Settlement(id, to: end.state, due: end.due, attempts: 1, history: "one\n", at: ended)])
        let record = try #require(await stage.show(id))
        #expect(record.id == id && record.state == end.state && record.attempts == 1 && record.uid == 1000)
        #expect(record.history == Array("one\n".utf8))
        #expect(record.body == (end.state.isFinal ? [] : Array("{}".utf8)))
        #expect(record.finishedAt == (end.state.isFinal ? ended : nil))
        #expect(record.dueAt == end.due.map { TestClock.start + $0 })
        #expect(record.expiresAt == (end.state.isFinal ? nil : TestClock.start + 3600))
        #expect(try await stage.show(JobID(raw: 1)) == nil)
    }

    @Test("fates and history gather over the attempts, whatever the end", arguments: Shelf.Kind.allCases, cases)
    func gather(_ kind: Shelf.Kind, _ end: Case) async throws {
        let stage = try Stage(kind)
        let id = try await stage.append([Draft()]).keptIDs[0]
        await stage.settle(
            [Settlement(id, to: .scheduled, due: 1, attempts: 1, fates: [.open, .delivered], history: "one\n")])
        let once = try #require(await stage.due(1).first)
        #expect(once.fates == [.open, .delivered] && once.attempts == 1)
        try stage.reopen()
        await stage.settle(
            [
                Settlement(
                    id, from: .scheduled, to: .scheduled, due: 2, attempts: 2, fates: [.rejected, .delivered],
                    history: "two\n")
            ])
        let twice = try #require(await stage.due(2).first)
        #expect(twice.fates == [.rejected, .delivered] && twice.attempts == 2 && twice.readyAt == TestClock.start + 2)
        await stage.settle(
            [Settlement(id, from: .scheduled, to: end.state, due: end.due, attempts: 3, history: "three\n")])
        #expect(try await stage.show(id)?.history == Array("one\ntwo\nthree\n".utf8))
    }

    @Test("what ends between two attempts keeps the history of the first", arguments: Shelf.Kind.allCases, cases)
    func between(_ kind: Shelf.Kind, _ end: Case) async throws {
        let stage = try Stage(kind)
        let id = try await stage.append([Draft()]).keptIDs[0]
        await stage.settle([Settlement(id, to: .scheduled, due: 1, attempts: 1, fates: [.open], history: "one\n")])
        // As delivered it would have had another attempt.
        let attempts = end.state == .delivered ? 2 : 1
        await stage.settle([Settlement(id, from: .scheduled, to: end.state, due: end.due, attempts: attempts)])
        #expect(try await stage.show(id)?.history == Array("one\n".utf8))
        #expect(try await stage.counted() == stage.spool.tally)
    }

    @Test(
        "a job that was settled twice is settled once, and costs its neighbours nothing",
        arguments: Shelf.Kind.allCases, cases)
    func endsTwice(_ kind: Shelf.Kind, _ end: Case) async throws {
        let stage = try Stage(kind)
        let ids = try await stage.append([Draft](repeating: Draft(), count: 3)).keptIDs
        await stage.settle([Settlement(ids[0], to: .delivered, history: "one\n")])
        let again = [ids[0], JobID(raw: 1)].map { Settlement($0, to: end.state, due: end.due, history: "again\n") }
        await stage.settle(again + [Settlement(ids[1], to: .held)])
        #expect(try await stage.show(ids[0])?.history == Array("one\n".utf8))
        #expect(try await stage.show(ids[0])?.state == .delivered)
        #expect(try await stage.show(JobID(raw: 1)) == nil)
        #expect(try await stage.list().map(\.id) == Array(ids.dropFirst()))
        #expect(try await stage.counted() == stage.spool.tally)
        // Our bug, so somebody hears of it; it is noticed by the tally, in which ready to ready is no step.
        #expect(stage.probe.noted.errors.count == (end.state == .ready ? 0 : 1))
        try stage.reopen()
        #expect(try await stage.counted() == stage.spool.opened.tally)
    }

    @Test("a job goes round by way of every state that is not final", arguments: Shelf.Kind.allCases)
    func round(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let id = try await stage.append([Draft(priority: 2)]).keptIDs[0]
        var was = JobState.ready
        for (attempts, state) in [JobState.held, .ready, .failed, .scheduled, .failed, .ready].enumerated() {
            let due = state == .scheduled ? 7.0 : nil
            await stage.settle([Settlement(id, from: was, to: state, due: due, attempts: attempts + 1)])
            was = state
            try stage.reopen()
            #expect(try await stage.counted() == stage.spool.tally)
            #expect(stage.spool.opened.tally == stage.spool.tally)
            #expect(try await stage.list(state).map(\.id) == [id])
        }
        let job = try #require(await stage.ready(2).first)
        #expect(job.attempts == 6 && String(buffer: job.body) == "{}")
    }

    @Test("many ends and many jobs may share one commit", arguments: Shelf.Kind.allCases)
    func together(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let ids = try await stage.append([Draft](repeating: Draft(), count: 30)).keptIDs
        stage.spool.settle(ids.prefix(20).map { Settlement($0, to: .delivered) })
        stage.spool.append([stage.chunk([Draft](repeating: Draft(priority: 0), count: 5))])
        #expect(await stage.probe.settled(20) == Array(ids.prefix(20)))
        #expect(await stage.probe.receipts(1).first?.keptIDs.count == 5)
        var expected = Tally()
        expected.add(.ready, jobs: 15, bytes: 30, in: JobGroup(uid: 1000, kind: 0))
        expected.finished = 20
        #expect(stage.spool.tally == expected)
        #expect(try await stage.counted() == expected)
    }
}
