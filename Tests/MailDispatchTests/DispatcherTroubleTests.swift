// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import TestSupport
import Testing

@Suite("The dispatcher when the spool is slow or sick", .timeLimit(.minutes(1)))
struct DispatcherTroubleTests {
    @Test("a due job that ends while a read is under way is not run a second time from what the read has seen")
    func staleDueRead() async throws {
        let shop = try Shop(workers: 4)
        let id = try await shop.submit([.init(delay: 0.01)])[0]
        shop.clock.advance(seconds: 1)
        try await shop.kind.log.until { $0.began == [id] }
        shop.keeping.play { $0.holdsDue = true }
        let other = try await shop.submit([.init(delay: 0)])[0]
        try await shop.keeping.held.until { $0 == 1 }
        shop.kind.end(id)
        try await shop.kind.log.until { $0.inHand == 0 }
        // The reader is held: the writer and the loop alone must have moved.
        try await shop.writerMoved()
        shop.keeping.letGo()
        try await shop.kind.log.until { $0.began.count == 2 }
        try await shop.settleDown()
        #expect(shop.kind.log.value.began == [id, other])
    }

    @Test("a job that becomes due while a read is under way is found by the next")
    func dueDuringRead() async throws {
        let shop = try Shop(workers: 4)
        shop.keeping.play { $0.holdsDue = true }
        let first = try await shop.submit([.init(delay: 0)])[0]
        try await shop.keeping.held.until { $0 == 1 }
        let second = try await shop.submit([.init(delay: 0)])[0]
        try await shop.timersPassed()
        shop.keeping.letGo()
        let log = try await shop.kind.log.until { $0.began.count == 2 }
        #expect(log.began == [first, second])
    }

    @Test("a job deferred while the disk refuses writes is run again once they succeed, though its time has passed")
    func deferredOnASickDisk() async throws {
        let shop = try Shop(retry: RetrySchedule(firstSeconds: 0.01))
        let id = try await shop.submit([.init()])[0]
        try await shop.kind.log.until { $0.began == [id] }
        shop.keeping.play { $0.commitsFail = true }
        shop.kind.end(id, HandKind.deferred)
        try await shop.failures.until { $0 >= 1 }
        shop.clock.advance(seconds: 1)
        try await shop.timersPassed()
        shop.keeping.play { $0.commitsFail = false }
        let log = try await shop.kind.log.until { $0.began.count == 2 }
        #expect(log.attempts == [1, 2])
    }

    @Test("jobs on disk are not forgotten where a read fails while others are committed")
    func failedRead() async throws {
        let memory = MemoryKeeping()
        let first = try Shop(isPaused: true, keeping: StagedKeeping(memory))
        let old = try await first.submit([.init()])[0]
        first.spool.close()
        let keeping = StagedKeeping(memory)
        keeping.play { $0.readsFail = true }
        let second = try Shop(keeping: keeping)
        try await keeping.failedReads.until { $0 >= 1 }
        _ = try await second.onLoop { _ in true }
        keeping.play { $0.readsFail = false }
        let new = try await second.submit([.init()])[0]
        second.kind.answerAll(HandKind.delivered)
        let log = try await second.kind.log.until { $0.began.count == 2 }
        #expect(Set(log.began) == [old, new])
    }

    @Test("what is not settled on disk is bounded: no new job is begun past it, and all go on after")
    func unsettledBound() async throws {
        let shop = try Shop(workers: 8, isPaused: true)
        let bound = 16_384
        let count = bound + 1000
        for _ in 0..<8 { try await shop.submit((0..<count / 8).map { _ in .init() }) }
        shop.keeping.play { $0.commitsFail = true }
        shop.kind.answerAll(HandKind.delivered)
        _ = try await shop.onLoop { $0.pause(false) }
        try await shop.kind.log.until { $0.began.count >= bound }
        try await shop.settleDown()
        #expect(shop.kind.log.value.began.count == bound)
        #expect(!shop.spool.isWritable)
        shop.keeping.play { $0.commitsFail = false }
        try await shop.kind.log.until { $0.began.count == count / 8 * 8 }
        try await shop.settleDown()
        #expect(Set(shop.kind.log.value.began).count == count / 8 * 8)
        #expect(shop.spool.tally.jobs == 0)
    }
}

extension Shop {
    /// The writer has committed what it had, and the loop has been told.
    func writerMoved() async throws {
        for _ in 0..<2 {
            let beat = Watched(false)
            spool.beat { beat.change { $0 = true } }
            try await beat.until { $0 }
            _ = try await onLoop { _ in true }
        }
    }

    /// Timers of a few milliseconds that were set before have gone off.
    func timersPassed() async throws {
        _ = try await writerMoved()
        try await dispatcher.loop.scheduleTask(in: .milliseconds(50)) {}.futureResult.get()
    }
}
