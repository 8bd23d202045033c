// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// Part of the suite that every keeping must pass: finished jobs are forgotten in time, and nothing else is.
@Suite(.timeLimit(.minutes(2)))
struct PruneTests {
    /// The spool looks once a minute; the second turn comes after the look that the first one caused.
    static func prune(_ stage: Stage) async {
        stage.clock.advance(monotonic: 61)
        await stage.turn()
        await stage.turn()
    }

    static func finish(_ stage: Stage, _ count: Int) async throws -> [JobID] {
        let ids = try await stage.append([Draft](repeating: Draft(), count: count)).keptIDs
        await stage.settle(ids.map { Settlement($0, to: .delivered, at: stage.clock.now()) })
        return ids
    }

    @Test("history older than historySeconds is forgotten", arguments: Shelf.Kind.allCases)
    func byAge(_ kind: Shelf.Kind) async throws {
        var limits = SpoolLimits()
        limits.historySeconds = 100
        let stage = try Stage(kind, limits: limits)
        let old = try await Self.finish(stage, 3)
        let waiting = try await stage.append([Draft(), Draft(due: 1)]).keptIDs
        stage.clock.advance(wall: 60)
        let young = try await Self.finish(stage, 2)
        await Self.prune(stage)
        #expect(stage.spool.tally.finished == 5)
        stage.clock.advance(wall: 41)
        await Self.prune(stage)
        #expect(try await stage.list(.delivered).map(\.id) == young)
        #expect(try await stage.show(old[0]) == nil)
        #expect(try await stage.list().map(\.id) == waiting)
        #expect(stage.spool.tally.finished == 2)
        #expect(try await stage.counted() == stage.spool.tally)
        try stage.reopen()
        #expect(try await stage.counted() == stage.spool.opened.tally)
    }

    @Test("a job that was accepted long ago and ended just now is remembered", arguments: Shelf.Kind.allCases)
    func longLived(_ kind: Shelf.Kind) async throws {
        var limits = SpoolLimits()
        limits.historySeconds = 100
        let stage = try Stage(kind, limits: limits)
        let ids = try await stage.append([Draft(), Draft()]).keptIDs
        await stage.settle([Settlement(ids[0], to: .delivered, at: stage.clock.now())])
        stage.clock.advance(wall: 1000)
        await stage.settle([Settlement(ids[1], to: .expired, at: stage.clock.now())])
        await Self.prune(stage)
        #expect(try await stage.show(ids[0]) == nil)
        #expect(try await stage.show(ids[1])?.state == .expired)
        #expect(stage.spool.tally.finished == 1)
    }

    @Test("past historyJobsMax the oldest are forgotten", arguments: Shelf.Kind.allCases)
    func byNumber(_ kind: Shelf.Kind) async throws {
        var limits = SpoolLimits()
        limits.historyJobsMax = 4
        let stage = try Stage(kind, limits: limits)
        let ids = try await Self.finish(stage, 3) + Self.finish(stage, 4)
        await Self.prune(stage)
        #expect(try await stage.list(.delivered).map(\.id) == Array(ids.suffix(4)))
        #expect(try await stage.counted() == stage.spool.tally)
        await Self.prune(stage)
        #expect(stage.spool.tally.finished == 4)
        try stage.reopen()
        #expect(stage.spool.opened.tally.finished == 4)
    }

    @Test("one call forgets a bounded number, the next ones the rest", arguments: Shelf.Kind.allCases)
    func bounded(_ kind: Shelf.Kind) async throws {
        var limits = SpoolLimits()
        limits.historyJobsMax = 10
        let stage = try Stage(kind, limits: limits)
        let ids = try await Self.finish(stage, 4500)
        await Self.prune(stage)
        #expect(stage.spool.tally.finished == 2500)
        await Self.prune(stage)
        await Self.prune(stage)
        #expect(try await stage.list(.delivered).map(\.id) == Array(ids.suffix(10)))
        #expect(try await stage.counted() == stage.spool.tally)
    }
}
