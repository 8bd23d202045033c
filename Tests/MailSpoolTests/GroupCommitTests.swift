// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Synchronization
import Testing

/// What the spool makes of its two threads, whatever keeps the jobs.
@Suite(.timeLimit(.minutes(2)))
struct GroupCommitTests {
    /// A stage of which the first commit stands before the gate.
    static func held(_ kind: Shelf.Kind) async throws -> (Stage, Gate) {
        let gate = Gate()
        let stage = try Stage(kind) { keeping in TrickKeeping(keeping) { _ throws(SpoolError) in gate.pass() } }
        stage.spool.append([stage.chunk([Draft()])])
        await gate.arrival()
        return (stage, gate)
    }

    @Test(
        "all that came while the writer was busy is one commit, and one call for each sink",
        arguments: Shelf.Kind.allCases)
    func gathered(_ kind: Shelf.Kind) async throws {
        let (stage, gate) = try await Self.held(kind)
        let other = Probe()
        for number in 0..<300 {
            stage.spool.append([stage.chunk([Draft(body: "\(number)")], sink: number % 3 == 0 ? other : stage.probe)])
        }
        #expect(stage.spool.tally == Tally())
        gate.open()
        let mine = await stage.probe.receipts(201)
        let others = await other.receipts(100)
        #expect(stage.probe.noted.commits == [1, 300])
        #expect(stage.probe.noted.receipts == [1, 200])
        #expect(other.noted.receipts == [100])
        for ids in [mine.flatMap(\.keptIDs), others.flatMap(\.keptIDs)] {
            #expect(zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 })
        }
        let bodies = try await stage.list().dropFirst().map { String(decoding: $0.body, as: UTF8.self) }
        #expect(bodies == (0..<300).map { "\($0)" })
    }

    @Test("a commit takes whole chunks, and no further one past its bounds", arguments: Shelf.Kind.allCases)
    func bounded(_ kind: Shelf.Kind) async throws {
        let (stage, gate) = try await Self.held(kind)
        for count in [3000, 3000, 3000, 1000, 96, 1] {
            stage.spool.append([stage.chunk([Draft](repeating: Draft(), count: count))])
        }
        gate.open()
        let back = await stage.probe.receipts(7)
        #expect(back.map(\.submissions.count) == [1, 3000, 3000, 3000, 1000, 96, 1])
        #expect(stage.probe.noted.commits == [1, 6000, 4096, 1])
        #expect(stage.spool.tally.ready == 10_098)
    }

    @Test("an answer is given after the commit, not before", arguments: Shelf.Kind.allCases)
    func answered(_ kind: Shelf.Kind) async throws {
        let (stage, gate) = try await Self.held(kind)
        #expect(stage.probe.noted.receipts == [])
        #expect(try await stage.list().isEmpty)
        gate.open()
        _ = await stage.probe.receipts(1)
        #expect(try await stage.list().count == 1)
    }

    @Test("questions are answered while the writer is held up, from any thread", arguments: Shelf.Kind.allCases)
    func asked(_ kind: Shelf.Kind) async throws {
        let (stage, gate) = try await Self.held(kind)
        let spool = stage.spool
        let counts = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    await withCheckedContinuation { done in
                        spool.ask { reading in
                            let jobs = try? reading.list(state: nil, after: JobID(raw: 0), limit: 10)
                            done.resume(returning: jobs?.count ?? -1)
                        }
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(counts == [Int](repeating: 0, count: 50))
        gate.open()
        _ = await stage.probe.receipts(1)
        #expect(try await stage.list().count == 1)
    }

    @Test("a beat runs on the writer's thread, and only when it gets round to it", arguments: Shelf.Kind.allCases)
    func beat(_ kind: Shelf.Kind) async throws {
        let (stage, gate) = try await Self.held(kind)
        let threads = AsyncStream<String>.makeStream()
        let note: @Sendable (String) -> Void = { threads.continuation.yield($0) }
        stage.spool.beat { note("beat \(Self.threadName)") }
        stage.spool.ask { _ in note("question \(Self.threadName)") }
        // The question was put after the beat, and is answered before it: the writer is held up.
        var names: [String] = []
        for await name in threads.stream.prefix(1) { names.append(name) }
        gate.open()
        for await name in threads.stream.prefix(1) { names.append(name) }
        #expect(names == ["question spool-reader\n", "beat spool-writer\n"])
    }

    private static var threadName: String {
        String(decoding: TemporaryDirectory.read("/proc/thread-self/comm") ?? [], as: UTF8.self)
    }

    @Test("a close commits what was handed over before it", arguments: Shelf.Kind.allCases)
    func closed(_ kind: Shelf.Kind) async throws {
        let (stage, gate) = try await Self.held(kind)
        for _ in 0..<50 { stage.spool.append([stage.chunk([Draft(), Draft(due: 5)])]) }
        stage.spool.set("paused", to: "yes")
        let spool = stage.spool
        async let closed: Void = onThread { spool.close() }
        gate.open()
        let ids = await stage.probe.receipts(51).flatMap(\.keptIDs)
        try await closed
        #expect(stage.probe.noted.commits == [1, 100])
        try stage.reopen()
        #expect(ids.count == 101)
        #expect(try await stage.list().map(\.id) == ids)
        #expect(stage.spool.opened.settings["paused"] == "yes")
        #expect(try await stage.counted() == stage.spool.opened.tally)
    }

    @Test("a close writes what ended, and may be called again", arguments: Shelf.Kind.allCases)
    func closedAgain(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let ids = try await stage.append([Draft](repeating: Draft(), count: 5)).keptIDs
        for id in ids { stage.spool.settle([Settlement(id, to: .failed, history: "no\n")]) }
        stage.spool.close()
        stage.spool.close()
        try stage.reopen()
        #expect(try await stage.list(.failed).map(\.id) == ids)
        #expect(stage.spool.opened.tally.failed == 5)
    }

    @Test("many threads may hand over at once, and each gets its own back in its order", arguments: Shelf.Kind.allCases)
    func threads(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let spool = stage.spool
        let now = stage.clock.now()
        let orders = try await withThrowingTaskGroup(of: [JobID].self) { group in
            for sender in 0..<6 {
                group.addTask {
                    let probe = Probe()
                    let chunks = (0..<100).map { _ in
                        Draft.chunk([Draft(priority: sender)], now: now, uid: UInt32(sender), sink: probe)
                    }
                    for chunk in chunks { spool.append([chunk]) }
                    let back = await probe.receipts(100)
                    #expect(zip(back, chunks).allSatisfy { $0 === $1 })
                    return back.flatMap(\.keptIDs)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(orders.allSatisfy { ids in zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 } })
        #expect(Set(orders.joined()).count == 600)
        #expect(try await stage.list(limit: .max).map(\.id) == orders.joined().sorted())
        #expect(stage.probe.noted.commits.reduce(0, +) == 600)
    }
}
