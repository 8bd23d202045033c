// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import TestSupport
import Testing

extension Shop {
    /// What an operator's verb came to.
    fileprivate func change(_ change: JobChange, _ ids: [JobID]) async throws -> Result<ChangeReport, SpoolError> {
        let reports = begin([(change, ids)])
        return try await reports.until { $0.count == 1 }[0]
    }

    /// Several verbs in one tick of the loop, as of operators who do not know of each other.
    fileprivate func begin(_ orders: [(JobChange, [JobID])]) -> Watched<[Result<ChangeReport, SpoolError>]> {
        let reports = Watched<[Result<ChangeReport, SpoolError>]>([])
        dispatcher.loop.execute { [dispatcher] in
            for (change, ids) in orders {
                dispatcher.change(change, ids, by: 0) { report in reports.change { $0.append(report) } }
            }
        }
        return reports
    }

    /// Lets all go that may, and returns what was begun in the order of its beginning.
    fileprivate func runAll(_ count: Int) async throws -> [JobID] {
        kind.answerAll(HandKind.delivered)
        _ = try await onLoop { $0.pause(false) }
        try await kind.log.until { $0.began.count >= count }
        try await settleDown()
        return kind.log.value.began
    }
}

@Suite("What operators do to waiting jobs", .timeLimit(.minutes(1)))
struct ChangeTests {
    @Test("a cancelled job is not begun, though it was at hand; the others are")
    func cancel() async throws {
        let shop = try Shop(workers: 1, isPaused: true)
        let ids = try await shop.submit([.init(), .init(), .init(delay: 0.01), .init()])
        let report = try await shop.change(.cancel, [ids[1], ids[2]]).get()
        #expect(report.changed.map(\.id) == [ids[1], ids[2]] && report.unchanged.isEmpty)
        shop.clock.advance(seconds: 1)
        #expect(try await shop.runAll(2) == [ids[0], ids[3]])
        #expect(try await shop.state(ids[1]) == .cancelled)
    }

    @Test("a held job waits until it is released, and then goes once")
    func holdAndRelease() async throws {
        let shop = try Shop(workers: 1, isPaused: true)
        let ids = try await shop.submit([.init(), .init()])
        #expect(try await shop.change(.hold, [ids[0]]).get().changed.map(\.state) == [.held])
        #expect(try await shop.runAll(1) == [ids[1]])
        #expect(try await shop.change(.release, ids).get().changed.map(\.id) == [ids[0]])
        #expect(try await shop.runAll(2) == [ids[1], ids[0]])
        #expect(shop.spool.tally.jobs == 0)
    }

    @Test("a job that waits for its retry goes at once when it is retried, and so does a dead letter")
    func retry() async throws {
        let shop = try Shop(workers: 2, retry: RetrySchedule(firstSeconds: 1000))
        shop.kind.answerAll(HandKind.deferred)
        let ids = try await shop.submit([.init(), .init(attemptsMax: 1)])
        try await shop.kind.log.until { $0.began.count == 2 }
        try await shop.settleDown()
        #expect(try await shop.state(ids[1]) == .failed)
        _ = try await shop.onLoop { $0.pause(true) }
        #expect(try await shop.change(.retry, ids).get().changed.count == 2)
        #expect(Set(try await shop.runAll(4).suffix(2)) == Set(ids))
        #expect(shop.spool.tally.jobs == 0)
    }

    @Test("what is in a worker's hands is left alone, and told so")
    func running() async throws {
        let shop = try Shop(workers: 1)
        let ids = try await shop.submit([.init(), .init()])
        try await shop.kind.log.until { $0.began == [ids[0]] }
        let report = try await shop.change(.cancel, ids).get()
        #expect(report.changed.map(\.id) == [ids[1]])
        #expect(report.unchanged.map(\.id) == [ids[0]] && report.unchanged[0].state == .running)
        shop.kind.end(ids[0])
        try await shop.settleDown()
        #expect(shop.kind.log.value.began == [ids[0]] && shop.spool.tally.jobs == 0)
    }

    @Test("where the disk refuses the change the jobs are worked on as they were, each once")
    func diskRefuses() async throws {
        let shop = try Shop(workers: 1, isPaused: true)
        let ids = try await shop.submit([.init(), .init(delay: 0.01), .init()])
        shop.clock.advance(seconds: 1)
        try await shop.settleDown()
        shop.keeping.play { $0.commitsFail = true }
        for report in try await shop.begin([(.cancel, ids), (.hold, [ids[0]])]).until({ $0.count == 2 }) {
            #expect(throws: SpoolError.self) { try report.get() }
        }
        shop.keeping.play { $0.commitsFail = false }
        let began = try await shop.runAll(3)
        #expect(began.count == 3 && Set(began) == Set(ids))
    }

    static let pairs: [(JobChange, JobChange, JobState?)] = [
        (.hold, .release, .delivered), (.hold, .retry, .delivered), (.retry, .hold, .held),
        (.hold, .cancel, .cancelled),
        (.retry, .cancel, .cancelled), (.cancel, .retry, .cancelled), (.hold, .hold, .held),
        (.retry, .retry, .delivered),
        (.release, .hold, .held), (.cancel, .purge, nil),
    ]

    @Test(
        "of two operators who mean the same job at once the last has his way, where it means anything", arguments: pairs
    )
    func two(_ first: JobChange, _ second: JobChange, _ end: JobState?) async throws {
        let shop = try Shop(workers: 1, isPaused: true)
        let ids = try await shop.submit([.init(), .init()])
        try await shop.settleDown()
        let reports = shop.begin([(first, [ids[0]]), (second, [ids[0]])])
        try await reports.until { $0.count == 2 }
        let runs = end == .delivered
        let began = try await shop.runAll(runs ? 2 : 1)
        #expect(began.count == (runs ? 2 : 1) && Set(began) == (runs ? Set(ids) : [ids[1]]))
        #expect(try await shop.state(ids[0]) == end)
    }

    @Test("a paused queue's jobs wait, through a restart too, and the others go on")
    func pausedQueue() async throws {
        let memory = MemoryKeeping()
        _ = memory.define(queues: ["default", "bulk"])
        let shop = try Shop(workers: 2, keeping: StagedKeeping(memory))
        shop.kind.answerAll(HandKind.delivered)
        #expect(try await shop.onLoop { $0.pause(true, queue: 1, name: "bulk") } == false)
        #expect(try await shop.onLoop { $0.pause(true, queue: 1, name: "bulk") } == true)
        let ids = try await shop.submit([.init(priority: 9, queue: 1), .init(), .init(queue: 1, delay: 0.01)])
        shop.clock.advance(seconds: 1)
        try await shop.kind.log.until { $0.began == [ids[1]] }
        try await shop.settleDown()
        shop.spool.close()

        let next = try Shop(workers: 2, keeping: StagedKeeping(memory))
        next.clock.advance(seconds: 2)
        next.kind.answerAll(HandKind.delivered)
        let other = try await next.submit([.init()])[0]
        try await next.kind.log.until { $0.began == [other] }
        try await next.settleDown()
        #expect(next.kind.log.value.began == [other])
        #expect(try await next.onLoop { $0.pausedQueues } == [1])
        #expect(try await next.onLoop { $0.pause(false, queue: 1, name: "bulk") } == true)
        let log = try await next.kind.log.until { $0.began.count == 3 }
        #expect(log.began == [other, ids[0], ids[2]])
        try await next.settleDown()
        #expect(next.keeping.opened.settings[DispatchFact.paused(queue: "bulk")] == nil)
    }

    @Test("a reload changes a queue's rule and forgets no pause")
    func reload() async throws {
        let shop = try Shop(workers: 4)
        _ = try await shop.onLoop { $0.pause(true, queue: 1, name: "bulk") }
        try await shop.onLoop { dispatcher in
            var settings = DispatchSettings(workers: 4)
            settings.queues = [1: QueueRule(concurrencyMax: 1)]
            dispatcher.apply(settings)
        }
        let ids = try await shop.submit((0..<3).map { _ in .init(queue: 1) })
        try await shop.settleDown()
        #expect(shop.kind.log.value.began.isEmpty)
        _ = try await shop.onLoop { $0.pause(false, queue: 1, name: "bulk") }
        try await shop.kind.log.until { $0.inHand == 1 }
        try await shop.settleDown()
        #expect(shop.kind.log.value.inHand == 1)
        shop.kind.answerAll(HandKind.delivered)
        #expect(try await shop.kind.log.until { $0.began.count == 3 }.began == ids)
    }
}
