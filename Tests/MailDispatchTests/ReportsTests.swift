// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import MailTransport
import MailWire
import TestSupport
import Testing

@Suite("Reports of failures", .timeLimit(.minutes(1)))
struct ReportsTests {
    private static let rejected = Verdict.rejected(Reply(550, "5.1.1", "no such user"))

    private static func failing(_ change: (Shop) -> Void = { _ in }) throws -> Shop {
        let shop = try Shop(retry: RetrySchedule(firstSeconds: 1, waitSecondsMax: 1))
        shop.kind.reportFailures()
        change(shop)
        return shop
    }

    @Test("a failure is settled with its report, which is a job as any other")
    func together() async throws {
        let shop = try Self.failing()
        let id = try await shop.submit([.init(priority: 7)])[0]
        try await shop.kind.log.until { $0.inHand == 1 }
        shop.kind.end(id, Self.rejected)
        let failure = try #require(await shop.kind.failures.until { $0.count == 1 }.first)
        #expect(failure.job == id && failure.line.readableBytes == 10 && failure.fates == [.rejected])
        #expect(failure.attempts.flatMap(\.fates).map(\.reply) == [Reply(550, "5.1.1", "no such user")])
        try await shop.settleDown()
        #expect(try await shop.state(id) == .ready, "nothing is written before the report is made")
        #expect(try await shop.onLoop { $0.running([id]) } == [id], "and no operator gets at the job")
        shop.kind.tell(id, .line(Array("report".utf8)))
        let log = try await shop.kind.log.until { $0.began.count == 2 }
        #expect(try await shop.state(id) == .failed && log.lengths == [10, 6])
        shop.kind.end(log.began[1])
        try await shop.settleDown()
        #expect(try await shop.state(log.began[1]) == .delivered)
        #expect(shop.spool.tally.failed == 1 && shop.spool.tally.jobs == 1 && shop.spool.tally.finished == 1)
    }

    @Test("what earlier attempts came to is told too")
    func history() async throws {
        let shop = try Self.failing()
        let id = try await shop.submit([.init(attemptsMax: 2)])[0]
        try await shop.kind.log.until { $0.inHand == 1 }
        shop.kind.end(id, .deferred(Reply(451, "4.7.1", "later")))
        try await shop.settleDown()
        shop.clock.advance(seconds: 10)
        try await shop.kind.log.until { $0.began.count == 2 }
        shop.kind.end(id, .unknown(Reply(0, "", "lost")))
        let failure = try #require(await shop.kind.failures.until { $0.count == 1 }.first)
        #expect(failure.attempts.flatMap(\.fates).map(\.verdict) == ["deferred", "unknown"])
        shop.kind.tell(id, .none)
        try await shop.settleDown()
        #expect(try await shop.state(id) == .failed && shop.spool.tally.jobs == 1)
    }

    @Test("so is that there never was one, and a dead letter whose time is over")
    func outOfTime() async throws {
        let shop = try Self.failing { $0.kind.outage(0.05) }
        let id = try await shop.submit([.init(expiry: 0.04)])[0]
        try await shop.kind.log.until { $0.began.count == 1 && $0.inHand == 0 }
        try await shop.settleDown()
        shop.clock.advance(seconds: 1)
        let failure = try #require(await shop.kind.failures.until { $0.count == 1 }.first)
        #expect(failure.job == id && failure.attempts.isEmpty)
        shop.kind.tell(id, .line(Array("report".utf8)))
        while try await shop.state(id) != .expired {}
        #expect(shop.spool.tally.scheduled == 1)
    }

    @Test("a drain waits for a report that is being made; one that cannot be made leaves the job to the next start")
    func drain() async throws {
        for report in [FailureReport.line(Array("report".utf8)), .stopping] {
            let shop = try Self.failing()
            let id = try await shop.submit([.init()])[0]
            try await shop.kind.log.until { $0.inHand == 1 }
            shop.kind.end(id, Self.rejected)
            try await shop.kind.failures.until { $0.count == 1 }
            let left = Watched<[Int]>([])
            let seconds = report == .stopping ? 0.05 : 60
            try await shop.onLoop { $0.drain(seconds: seconds) { count in left.change { $0.append(count) } } }
            shop.kind.tell(id, report)
            #expect(try await left.until { !$0.isEmpty } == [report == .stopping ? 1 : 0])
            try await shop.settleDown()
            #expect(try await shop.state(id) == (report == .stopping ? .ready : .failed))
            #expect(shop.spool.tally.jobs == (report == .stopping ? 1 : 2))
        }
    }
}
