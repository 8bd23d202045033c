// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// Part of the suite that every keeping must pass: what is read, in what order, and how much of it.
@Suite(.timeLimit(.minutes(2)))
struct OrderTests {
    @Test("within a priority the older job is read first, from a cursor on", arguments: Shelf.Kind.allCases)
    func ready(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        var expected: [[JobID]] = Array(repeating: [], count: Limits.priorityMax + 1)
        for round in 0..<6 {
            let ids = try await stage.append((0...9).map { Draft(priority: ($0 * 7 + round) % 10) }).keptIDs
            for (index, id) in ids.enumerated() { expected[(index * 7 + round) % 10].append(id) }
            try await stage.append([Draft(due: 5)])
        }
        for priority in 0...Limits.priorityMax {
            let all = expected[priority]
            #expect(all.count == 6)
            #expect(try await stage.ready(priority).map(\.id) == all)
            #expect(try await stage.ready(priority).allSatisfy { Int($0.priority) == priority })
            #expect(try await stage.ready(priority, after: all[1], limit: 3).map(\.id) == Array(all[2...4]))
            #expect(try await stage.ready(priority, after: all[5]).isEmpty)
            #expect(try await stage.ready(priority, limit: 0).isEmpty)
        }
    }

    @Test("a read ends with the job whose body reaches bytesMax, and has at least one", arguments: Shelf.Kind.allCases)
    func bytesMax(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let body = String(repeating: "x", count: 100)
        let fresh = try await stage.append([Draft](repeating: Draft(body: body), count: 5)).keptIDs
        let due = try await stage.append((0..<5).map { Draft(body: body, due: Double($0)) }).keptIDs
        for (bytes, count) in [(0, 1), (1, 1), (100, 1), (101, 2), (399, 4), (500, 5), (10_000, 5)] {
            #expect(try await stage.ready(bytesMax: bytes).map(\.id) == Array(fresh.prefix(count)))
            #expect(try await stage.due(9, bytesMax: bytes).map(\.id) == Array(due.prefix(count)))
        }
        // A read that stopped early leaves nothing behind that the next one would trip over.
        #expect(try await stage.ready().map(\.id) == fresh)
    }

    @Test("of the due jobs the longest overdue is read first, then the older", arguments: Shelf.Kind.allCases)
    func due(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let ids = try await stage.append([30, 10, 20, 10, 40].map { Draft(due: $0) }).keptIDs
        let byAge = [1, 3, 2, 0, 4].map { ids[$0] }
        #expect(try await stage.due(9.999).isEmpty)
        #expect(try await stage.due(10).map(\.id) == Array(byAge.prefix(2)))
        #expect(try await stage.due(30).map(\.id) == Array(byAge.prefix(4)))
        #expect(try await stage.due(100).map(\.id) == byAge)
        #expect(try await stage.due(100, limit: 3).map(\.id) == Array(byAge.prefix(3)))
        for (after, next) in [(-1.0, 10.0), (9.999, 10), (10, 20), (29, 30), (39.9, 40)] {
            let found = try await stage.ask { reading throws(SpoolError) in
                try reading.nextDue(after: TestClock.start + after)
            }
            #expect(found == TestClock.start + next)
        }
        #expect(
            try await stage.ask { reading throws(SpoolError) in try reading.nextDue(after: TestClock.start + 40) }
                == nil)
        for (time, limit, count) in [(9.0, 9, 0), (10, 9, 2), (35, 9, 4), (35, 3, 3), (99, 9, 5), (99, 0, 0)] {
            let found = try await stage.ask { reading throws(SpoolError) in
                try reading.dueCount(at: TestClock.start + time, limit: limit)
            }
            #expect(found == count)
        }
    }

    @Test("a scheduled job is listed as ready once its time has come", arguments: Shelf.Kind.allCases)
    func listsDueAsReady(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let ids = try await stage.append([Draft(), Draft(due: 10), Draft(due: 20)]).keptIDs
        for (state, expected) in [(JobState.ready, [ids[0], ids[1]]), (.scheduled, [ids[2]])] {
            let found = try await stage.ask { reading throws(SpoolError) in
                try reading.list(state: state, at: TestClock.start + 15, after: JobID(raw: 0), limit: 9).map(\.id)
            }
            #expect(found == expected)
        }
    }

    @Test("lists are read page by page, by state or all that live", arguments: Shelf.Kind.allCases)
    func pages(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let states: [JobState] = [.ready, .held, .failed, .delivered, .cancelled, .expired]
        var expected: [JobState: [JobID]] = [:]
        for _ in 0..<4 {
            let ids = try await stage.append([Draft](repeating: Draft(), count: states.count)).keptIDs
            await stage.settle(zip(ids, states).dropFirst().map { Settlement($0, to: $1) })
            for (id, state) in zip(ids, states) { expected[state, default: []].append(id) }
        }
        for state in states {
            let first = try await stage.list(state, limit: 3).map(\.id)
            let last = try #require(first.last)
            let rest = try await stage.list(state, after: last, limit: 3).map(\.id)
            #expect(first.count == 3 && first + rest == expected[state])
        }
        let live = states.filter { !$0.isFinal }.flatMap { expected[$0] ?? [] }.sorted()
        #expect(try await stage.list().map(\.id) == live)
        #expect(try await stage.list(after: live[4], limit: 4).map(\.id) == Array(live[5...8]))
    }
}
