// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import TestSupport
import Testing

@Suite("What operators do to the dispatcher", .timeLimit(.minutes(1)))
struct OperationsTests {
    @Test("a pause stops the claiming, not the accepting nor what is in hand")
    func pause() async throws {
        let shop = try Shop(workers: 1)
        let first = try await shop.submit([.init()])[0]
        try await shop.kind.log.until { $0.began == [first] }
        #expect(try await shop.onLoop { $0.pause(true) } == false)
        #expect(try await shop.onLoop { $0.pause(true) } == true)
        let second = try await shop.submit([.init()])[0]
        shop.kind.end(first)
        try await shop.settleDown()
        #expect(shop.kind.log.value.began == [first])
        #expect(try await shop.state(first) == .delivered)
        #expect(shop.keeping.opened.settings[DispatchFact.paused] != nil, "it outlives a restart")
        #expect(try await shop.onLoop { $0.pause(false) } == true)
        try await shop.kind.log.until { $0.began == [first, second] }
        try await shop.settleDown()
        #expect(shop.keeping.opened.settings[DispatchFact.paused] == nil)
    }

    @Test("growing gives waiting jobs to the new workers at once")
    func grow() async throws {
        let shop = try Shop(workers: 1)
        try await shop.submit([.init(), .init(), .init(), .init()])
        try await shop.kind.log.until { $0.inHand == 1 }
        #expect(try await shop.onLoop { $0.scale(to: 3) } == 1)
        try await shop.kind.log.until { $0.inHand == 3 }
        try await shop.settleDown()
        #expect(shop.kind.log.value.inHand == 3)
        #expect(shop.keeping.opened.settings[DispatchFact.workers] == "3 1")
    }

    @Test("shrinking interrupts nobody, and retires who ends")
    func shrink() async throws {
        let shop = try Shop(workers: 3)
        let ids = try await shop.submit((0..<6).map { _ in .init() })
        try await shop.kind.log.until { $0.inHand == 3 }
        #expect(try await shop.onLoop { $0.scale(to: 1) } == 3)
        #expect(shop.kind.log.value.inHand == 3)
        shop.kind.end(ids[1])
        shop.kind.end(ids[0])
        try await shop.settleDown()
        // Number 2 is still busy, beyond the one that is wanted; number 0 is busy anew; number 1 is gone.
        let workers = try await shop.onLoop { $0.report.workers }
        #expect(workers.map(\.number) == [0, 2])
        #expect(workers.allSatisfy { $0.job != nil && $0.kind == "hand" })
        shop.kind.answerAll(HandKind.delivered)
        try await shop.kind.log.until { $0.began.count == 6 }
        try await shop.settleDown()
        #expect(try await shop.onLoop { $0.report.workers.count } == 1)
    }

    @Test("scaling to 0 means the configured number, and forgets what was scaled to")
    func scaleBack() async throws {
        let shop = try Shop(workers: 2)
        _ = try await shop.onLoop { $0.scale(to: 9) }
        #expect(try await shop.onLoop { $0.scale(to: 0) } == 9)
        #expect(try await shop.onLoop { $0.report.target } == 2)
        try await shop.settleDown()
        #expect(shop.keeping.opened.settings[DispatchFact.workers] == nil)
    }

    @Test("a reload ends what scale asked for only where the configured number has changed")
    func reload() async throws {
        let shop = try Shop(workers: 2)
        _ = try await shop.onLoop { $0.scale(to: 9) }
        try await shop.onLoop { $0.apply(DispatchSettings(workers: 2)) }
        #expect(try await shop.onLoop { $0.report.target } == 9)
        try await shop.onLoop { $0.apply(DispatchSettings(workers: 4)) }
        #expect(try await shop.onLoop { $0.report.target } == 4)
        #expect(try await shop.onLoop { $0.report.configured } == 4)
    }

    @Test("a drain waits for what is in hand and begins nothing more")
    func drain() async throws {
        let shop = try Shop(workers: 1)
        let ids = try await shop.submit([.init(), .init()])
        try await shop.kind.log.until { $0.inHand == 1 }
        let drained = Watched<[Int]>([])
        try await shop.onLoop { $0.drain(seconds: 30) { left in drained.change { $0.append(left) } } }
        #expect(drained.value.isEmpty)
        shop.kind.end(ids[0])
        #expect(try await drained.until { !$0.isEmpty } == [0])
        shop.spool.close()
        #expect(shop.kind.log.value.began == [ids[0]])
        #expect(shop.keeping.opened.tally.ready == 1 && shop.keeping.opened.tally.finished == 1)
    }

    @Test("what is in hand at the end of a drain's time is given back: the next start runs it")
    func drainGivesBack() async throws {
        let memory = MemoryKeeping()
        let shop = try Shop(workers: 2, keeping: StagedKeeping(memory))
        let ids = try await shop.submit([.init(), .init(), .init()])
        try await shop.kind.log.until { $0.inHand == 2 }
        let drained = Watched<[Int]>([])
        try await shop.onLoop { $0.drain(seconds: 0.02) { left in drained.change { $0.append(left) } } }
        #expect(try await drained.until { !$0.isEmpty } == [2])
        shop.spool.close()
        let next = try Shop(workers: 1, keeping: StagedKeeping(memory))
        next.kind.answerAll(HandKind.delivered)
        let log = try await next.kind.log.until { $0.began.count == 3 }
        #expect(log.began == ids)
        #expect(drained.value == [2], "told once")
    }

    @Test("a drain with nothing in hand is done at once")
    func drainIdle() async throws {
        let shop = try Shop()
        let drained = Watched<[Int]>([])
        try await shop.onLoop { $0.drain(seconds: 30) { left in drained.change { $0.append(left) } } }
        #expect(drained.value == [0])
    }

    @Test("which jobs are running is known by the dispatcher")
    func running() async throws {
        let shop = try Shop(workers: 1)
        let ids = try await shop.submit([.init(), .init()])
        try await shop.kind.log.until { $0.inHand == 1 }
        #expect(try await shop.onLoop { $0.running(ids) } == [ids[0]])
        try await shop.settleDown()
        #expect(shop.dispatcher.gauges.busy == 1)
        #expect(try await shop.onLoop { $0.report.busyByClass } == [JobClass(0, 0): 1])
    }
}
