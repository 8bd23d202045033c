// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

@Suite("Nodes that share a spool", .timeLimit(.minutes(2)))
struct FleetTests {
    /// Two nodes, each with the side that asks.
    private struct Pair {
        let shelf: Shelf
        let one: PostgreSQLKeeping
        let other: PostgreSQLKeeping
        let clock = SystemClock()
        let probe = Probe()

        init() throws {
            shelf = try Shelf(.postgresql)
            one = try shelf.open(node: "one")
            other = try shelf.open(node: "other")
        }

        func close() {
            one.close()
            other.close()
        }

        /// Puts `drafts` in through one of the two, as its writer would.
        @discardableResult
        func append(_ drafts: [Draft], to keeping: PostgreSQLKeeping, uid: UInt32 = 1000) throws -> [JobID] {
            var batch = Batch()
            let chunk = Draft.chunk(drafts, now: clock.now(), uid: uid, sink: probe)
            chunk.firstID = max(
                JobID.first(at: clock.now(), node: keeping.opened.node), keeping.opened.lastID.advanced(by: 1))
            batch.chunks = [chunk]
            batch.lastID = chunk.firstID.advanced(by: drafts.count - 1)
            try keeping.commit(batch)
            return chunk.keptIDs
        }
    }

    private static func claim(_ reading: any Reading, _ count: Int = 100) throws -> [WaitingJob] {
        try reading.claim(ClaimWish(jobsMax: count, laneMax: count)).jobs
    }

    private static func end(_ job: WaitingJob) -> Batch {
        var batch = Batch()
        var end = Settlement(job.id, to: .delivered)
        end.claim = job.claim
        batch.settlements = [end]
        batch.tally.add(.ready, jobs: 1, bytes: 2, in: end.group)
        batch.tally.move(end)
        return batch
    }

    @Test("a job is claimed by one of them, and by the other once it was given back")
    func claims() throws {
        let pair = try Pair()
        defer { pair.close() }
        let (left, right) = (try pair.one.reading(), try pair.other.reading())
        let ids = try pair.append([Draft(), Draft(), Draft(), Draft()], to: pair.one)
        let first = try Self.claim(left, 3)
        #expect(first.map(\.id) == Array(ids[..<3]))
        #expect(try Self.claim(right).map(\.id) == [ids[3]])
        #expect(try Self.claim(left).isEmpty)
        try left.release([first[0]])
        #expect(try Self.claim(right).map(\.id) == [ids[0]])
        left.close()
        right.close()
    }

    @Test("an end whose claim is another's by now changes nothing")
    func fences() throws {
        let pair = try Pair()
        defer { pair.close() }
        let (left, right) = (try pair.one.reading(), try pair.other.reading())
        try pair.append([Draft()], to: pair.one)
        let stale = try #require(try Self.claim(left).first)
        try left.release([stale])
        let fresh = try #require(try Self.claim(right).first)
        let late = Self.end(stale)
        #expect(try pair.one.commit(late) != late.tally)
        #expect(try right.show(stale.id)?.state == .ready)
        let rightful = Self.end(fresh)
        #expect(try pair.other.commit(rightful) == rightful.tally)
        #expect(try left.show(stale.id)?.state == .delivered)
        left.close()
        right.close()
    }

    @Test("a node that ends in order gives back what it had")
    func leaves() throws {
        let pair = try Pair()
        let (left, right) = (try pair.one.reading(), try pair.other.reading())
        let ids = try pair.append([Draft(), Draft()], to: pair.one)
        #expect(try Self.claim(left).count == 2)
        left.close()
        pair.one.close()
        #expect(try Self.claim(right).map(\.id) == ids)
        right.close()
        pair.other.close()
    }

    @Test("what a living node has in hand is not another's to recover")
    func recovers() throws {
        let pair = try Pair()
        defer { pair.close() }
        let left = try pair.one.reading()
        let ids = try pair.append([Draft(), Draft()], to: pair.one)
        #expect(try Self.claim(left).count == 2)
        let recovery = try pair.other.recover(inHand: ids, at: pair.clock.now())
        #expect(recovery == Recovery())
        left.close()
    }

    @Test("each sees the tally of both, and ids differ in the node's bits")
    func counts() async throws {
        let pair = try Pair()
        defer { pair.close() }
        let ids = try pair.append([Draft(), Draft()], to: pair.one)
        let others = try pair.append([Draft(due: -1_000_000_000)], to: pair.other, uid: 5)
        #expect(Set((ids + others).map { $0.raw % JobID.step }).count == 2)
        // A node learns that it is not alone with the renewal of its session, which comes every few seconds.
        for keeping in [pair.one, pair.other] {
            let deadline = pair.clock.monotonic() + 60
            while keeping.fleet?.nodes != 2, pair.clock.monotonic() < deadline { await Task.yield() }
            let tally = try keeping.current(Tally())
            #expect(tally.ready == 2 && tally.scheduled == 1 && tally.bytes == 6)
            #expect(tally.count(uid: 5).scheduled == 1)
        }
    }

    @Test("a key that both put in at once leads to one job")
    func keys() throws {
        let pair = try Pair()
        defer { pair.close() }
        let key = IdempotencyKey(name: [1], digest: [2])
        let ids = try pair.append([Draft(key: key)], to: pair.one)
        #expect(throws: SpoolError.self) { try pair.append([Draft(), Draft(key: key)], to: pair.other) }
        let known = try pair.other.find([1], uid: 1000, kind: 0)
        #expect(known?.job.id == ids[0])
    }

    @Test("an operator cannot change what another node has at hand")
    func changes() throws {
        let pair = try Pair()
        defer { pair.close() }
        let left = try pair.one.reading()
        let ids = try pair.append([Draft(), Draft()], to: pair.one)
        #expect(try Self.claim(left, 1).count == 1)
        let order = ChangeOrder(.hold, ids, at: pair.clock.now())
        let outcome = try pair.other.change(order, tally: Tally())
        #expect(outcome.unchanged.map(\.id) == [ids[0]] && outcome.unchanged.first?.state == .running)
        #expect(outcome.changed.map(\.id) == [ids[1]])
        left.close()
    }

    @Test("a second node of the same name is refused while the first is running")
    func names() throws {
        let pair = try Pair()
        defer { pair.close() }
        #expect(throws: SpoolError.self) { try pair.shelf.open(node: "one", beside: "elsewhere") }
    }

    @Test("tables of a later format are refused")
    func laterFormat() throws {
        let pair = try Pair()
        pair.close()
        try pair.shelf.setFormat(99)
        let error = #expect(throws: SpoolError.self) { try pair.shelf.open(node: "one") }
        guard case .tooNew = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    private static let later = ["ALTER TABLE nodes ADD COLUMN later int NOT NULL DEFAULT 0"]

    @Test("a later format is refused while a node of the older one runs, which is named")
    func formatUnderWay() throws {
        let pair = try Pair()
        let error = #expect(throws: SpoolError.self) {
            try pair.shelf.open(node: "third", furtherSteps: [Self.later])
        }
        #expect(error?.message.contains("older format are running: one, other; stop them first") == true)
        pair.close()
        try pair.shelf.open(node: "third", furtherSteps: [Self.later]).close()
        #expect(throws: SpoolError.self) { try pair.shelf.open(node: "one") }
    }

    @Test("an older node that slept while the format was raised takes no part when it wakes up")
    func sleepsThroughFormat() async throws {
        let pair = try Pair()
        let (left, clock) = (try pair.one.reading(), pair.clock)
        let ids = try pair.append([Draft()], to: pair.one)
        let claimed = try Self.claim(left)
        #expect(claimed.map(\.id) == ids)
        pair.other.close()
        let deadline = clock.monotonic() + 60
        var opened: PostgreSQLKeeping?
        while opened == nil, clock.monotonic() < deadline {
            // As if it had been asleep for longer than its lease. It may just have renewed that: then once more.
            try pair.shelf.run("UPDATE nodes SET expires = now() - interval '1 hour' WHERE name = 'one'")
            opened = try? pair.shelf.open(node: "third", furtherSteps: [Self.later])
        }
        let third = try #require(opened)
        var refusal: SpoolError?
        while refusal == nil, clock.monotonic() < deadline {
            do throws(SpoolError) { _ = try pair.one.current(Tally()) } catch { refusal = error }
            await Task.yield()
        }
        guard case .tooNew? = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        #expect(throws: SpoolError.self) { try pair.one.commit(Self.end(claimed[0])) }
        left.close()
        pair.one.close()
        third.close()
    }

    @Test("a queue that is paused at one node is paused at the other, and there after a restart")
    func pauses() async throws {
        let pair = try Pair()
        defer { pair.close() }
        let bulk = try #require(try pair.one.define(queues: ["bulk"])["bulk"])
        var batch = Batch()
        batch.settings = [(SharedFact.paused(queue: "bulk"), "yes"), ("workers", "3 2")]
        try pair.one.commit(batch)
        let deadline = pair.clock.monotonic() + 60
        while pair.other.fleet?.pausedQueues.isEmpty == true, pair.clock.monotonic() < deadline { await Task.yield() }
        #expect(pair.other.fleet?.pausedQueues == [bulk: "bulk"])
        let third = try pair.shelf.open(node: "third")
        #expect(third.opened.settings == [SharedFact.paused(queue: "bulk"): "yes"])
        third.close()
        batch.settings = [(SharedFact.paused(queue: "bulk"), nil)]
        try pair.other.commit(batch)
        while pair.one.fleet?.pausedQueues.isEmpty == false, pair.clock.monotonic() < deadline { await Task.yield() }
        #expect(pair.one.fleet?.pausedQueues == [:])
    }

    @Test("no more of a queue is claimed than there is room for, and nothing of one that has none")
    func rooms() throws {
        let pair = try Pair()
        defer { pair.close() }
        let reading = try pair.one.reading()
        try pair.append([Draft(), Draft(), Draft()], to: pair.one)
        #expect(try reading.claim(ClaimWish(jobsMax: 9, laneMax: 9, rooms: [0: 0])).jobs.isEmpty)
        let few = try reading.claim(ClaimWish(jobsMax: 9, laneMax: 9, rooms: [0: 2]))
        #expect(few.jobs.count == 2 && !few.hasMore)
        #expect(try reading.claim(ClaimWish(jobsMax: 9, laneMax: 9, rooms: [7: 0])).jobs.count == 1)
        reading.close()
    }

    @Test("the report of the fleet tells who lives, who has stopped, and what each has claimed")
    func report() throws {
        let pair = try Pair()
        let reading = try pair.other.reading()
        try pair.append([Draft(), Draft()], to: pair.one)
        #expect(try Self.claim(reading, 1).count == 1)
        pair.one.close()
        let report = try #require(try reading.fleet())
        #expect(report.nodes.map(\.name) == ["one", "other"] && report.nodes.map(\.state) == [.stopped, .live])
        #expect(report.nodes.map(\.claimed) == [0, 1] && report.format == 1)
        reading.close()
        pair.other.close()
    }
}
