// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import Testing

@Suite("The dispatcher over a spool", .timeLimit(.minutes(1)))
struct DispatcherTests {
    @Test("jobs are claimed by priority and then age")
    func order() async throws {
        let shop = try Shop(workers: 1, isPaused: true)
        let ids = try await shop.submit([
            .init(priority: 4), .init(priority: 0), .init(priority: 9), .init(priority: 4),
        ])
        try await shop.settleDown()
        _ = try await shop.onLoop { $0.pause(false) }
        shop.kind.answerAll(HandKind.delivered)
        let log = try await shop.kind.log.until { $0.began.count == 4 }
        #expect(log.began == [ids[2], ids[0], ids[3], ids[1]])
        #expect(log.mostInHand == 1)
    }

    @Test("more jobs than the window holds are all run once, and never all in memory")
    func more() async throws {
        let shop = try Shop(workers: 16, isPaused: true)
        let count = 3 * Limits.windowJobsMax
        let ids = try await shop.submit((0..<count).map { .init(priority: $0 % 2 == 0 ? 4 : 6) })
        try await shop.settleDown()
        shop.kind.answerAll(HandKind.delivered)
        _ = try await shop.onLoop { $0.pause(false) }
        let log = try await shop.kind.log.until { $0.began.count >= count }
        try await shop.settleDown()
        #expect(Set(log.began) == Set(ids))
        #expect(shop.kind.log.value.began.count == count)
        #expect(shop.keeping.longestAnswer.value <= 512)
        #expect(shop.spool.tally.jobs == 0 && shop.spool.tally.finished == count)
    }

    @Test("jobs of an earlier life are found at the start")
    func restart() async throws {
        let memory = MemoryKeeping()
        let first = try Shop(isPaused: true, keeping: StagedKeeping(memory))
        let ids = try await first.submit([.init(), .init(priority: 7), .init(delay: 60)])
        first.spool.close()
        let second = try Shop(workers: 1, keeping: StagedKeeping(memory))
        second.kind.answerAll(HandKind.delivered)
        let log = try await second.kind.log.until { $0.began.count == 2 }
        #expect(log.began == [ids[1], ids[0]])
        try await second.settleDown()
        #expect(second.spool.tally.scheduled == 1)
    }

    @Test("a deferred job is scheduled, and run again when it is due")
    func deferred() async throws {
        let shop = try Shop(retry: RetrySchedule(firstSeconds: 0.05))
        let id = try await shop.submit([.init()])[0]
        try await shop.kind.log.until { $0.began == [id] }
        shop.kind.end(id, HandKind.deferred)
        try await shop.kind.log.until { $0.inHand == 0 }
        try await shop.settleDown()
        #expect(try await shop.state(id) == .scheduled)
        shop.clock.advance(seconds: 1)
        let log = try await shop.kind.log.until { $0.began.count == 2 }
        #expect(log.attempts == [1, 2])
        shop.kind.end(id)
        try await shop.kind.log.until { $0.inHand == 0 }
        try await shop.settleDown()
        #expect(try await shop.state(id) == .delivered)
        #expect(shop.spool.tally.jobs == 0)
    }

    @Test("a job that is to go later goes then, and not before")
    func later() async throws {
        let shop = try Shop()
        let ids = try await shop.submit([.init(delay: 0.05), .init()])
        try await shop.kind.log.until { $0.began == [ids[1]] }
        shop.clock.advance(seconds: 0.05)
        try await shop.kind.log.until { $0.began == [ids[1], ids[0]] }
    }

    @Test("where the clock has gone back, a job waits for its time and is not forgotten")
    func clockGoesBack() async throws {
        let shop = try Shop()
        let id = try await shop.submit([.init(delay: 0.05)])[0]
        shop.clock.advance(seconds: -0.2)
        shop.kind.answerAll(HandKind.delivered)
        let other = try await shop.submit([.init()])[0]
        try await shop.kind.log.until { $0.began == [other] }
        shop.clock.advance(seconds: 0.25)
        try await shop.kind.log.until { $0.began == [other, id] }
    }

    @Test("a job whose time ran out is expired unseen, and costs no worker")
    func expired() async throws {
        let shop = try Shop(workers: 1, isPaused: true)
        let ids = try await shop.submit([.init(expiry: 5), .init()])
        shop.clock.advance(seconds: 5)
        _ = try await shop.onLoop { $0.pause(false) }
        try await shop.kind.log.until { $0.began == [ids[1]] }
        try await shop.settleDown()
        #expect(try await shop.state(ids[0]) == .expired)
    }

    @Test("a job that is out of attempts becomes a dead letter")
    func outOfAttempts() async throws {
        let shop = try Shop(retry: RetrySchedule(firstSeconds: 0.01))
        shop.kind.answerAll(HandKind.deferred)
        let id = try await shop.submit([.init(attemptsMax: 2)])[0]
        try await shop.kind.log.until { $0.began.count == 1 }
        try await shop.settleDown()
        shop.clock.advance(seconds: 1)
        try await shop.kind.log.until { $0.began.count == 2 }
        try await shop.settleDown()
        #expect(try await shop.state(id) == .failed)
        #expect(shop.spool.tally.failed == 1 && shop.spool.tally.scheduled == 0)
    }

    @Test("large due jobs, more than one read brings, are all run")
    func largeDue() async throws {
        let shop = try Shop(workers: 4, isPaused: true)
        let count = Limits.windowBytesMax / (1 << 20) + 8
        try await shop.submit((0..<count).map { _ in .init(delay: 0.01, bytes: 1 << 20) })
        shop.clock.advance(seconds: 1)
        shop.kind.answerAll(HandKind.delivered)
        _ = try await shop.onLoop { $0.pause(false) }
        try await shop.kind.log.until { $0.began.count == count }
    }

    @Test("many due jobs are all run once, and never all in memory")
    func manyDue() async throws {
        let shop = try Shop(workers: 4, isPaused: true)
        let count = 4 * Limits.windowJobsMax
        let ids = try await shop.submit((0..<count).map { _ in .init(delay: 0.01) })
        shop.clock.advance(seconds: 1)
        try await shop.settleDown()
        #expect(try await shop.onLoop { $0.report.dueLoaded } <= Limits.windowJobsMax)
        shop.kind.answerAll(HandKind.delivered)
        _ = try await shop.onLoop { $0.pause(false) }
        let log = try await shop.kind.log.until { $0.began.count >= count }
        try await shop.settleDown()
        #expect(Set(log.began) == Set(ids) && shop.kind.log.value.began.count == count)
    }
}
