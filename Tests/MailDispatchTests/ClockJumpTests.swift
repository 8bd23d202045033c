// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import Testing

@Suite("A wall clock that is set", .timeLimit(.minutes(1)))
struct ClockJumpTests {
    @Test("forward: a scheduled job that is due by the new time begins at once, one that is not stays")
    func forward() async throws {
        let shop = try Shop()
        let ids = try await shop.submit([.init(delay: 3600), .init(delay: 7200)])
        try await shop.settleDown()
        #expect(shop.kind.log.value.began.isEmpty)
        shop.clock.jump(seconds: 3601)
        shop.dispatcher.clockWasSet()
        try await shop.kind.log.until { $0.began == [ids[0]] }
        try await shop.settleDown()
        #expect(try await shop.state(ids[1]) == .scheduled)
    }

    @Test("back: what was due waits for its own time again, and comes when the clock is right")
    func back() async throws {
        let shop = try Shop()
        let id = try await shop.submit([.init(delay: 3600)])[0]
        shop.clock.jump(seconds: -86_400)
        shop.clock.advance(seconds: 7200)
        shop.dispatcher.clockWasSet()
        try await shop.settleDown()
        #expect(shop.kind.log.value.began.isEmpty)
        shop.clock.jump(seconds: 86_400)
        shop.dispatcher.clockWasSet()
        try await shop.kind.log.until { $0.began == [id] }
    }

    @Test("back: jobs are taken and run on, and their ids rise on", arguments: [-1.0, -86_400, -1e9])
    func accepted(_ seconds: Double) async throws {
        let shop = try Shop()
        shop.kind.answerAll(HandKind.delivered)
        let before = try await shop.submit([.init(), .init()])
        shop.clock.jump(seconds: seconds)
        let after = try await shop.submit([.init(), .init()])
        #expect(before + after == (before + after).sorted())
        try await shop.kind.log.until { $0.began == before + after }
    }

    @Test("a retry that was due by the old time comes at the new one")
    func retry() async throws {
        let shop = try Shop(retry: RetrySchedule(firstSeconds: 3000))
        let id = try await shop.submit([.init()])[0]
        try await shop.kind.log.until { $0.began == [id] }
        shop.kind.end(id, HandKind.deferred)
        while try await shop.state(id) != .scheduled {}
        shop.clock.jump(seconds: 4000)
        shop.dispatcher.clockWasSet()
        try await shop.kind.log.until { $0.attempts == [1, 2] }
    }

    @Test("what has expired by the new time is not tried, and what has not by the old one is")
    func expiry() async throws {
        let shop = try Shop(workers: 1, isPaused: true)
        shop.kind.answerAll(HandKind.delivered)
        let ids = try await shop.submit([.init(expiry: 100), .init(expiry: 1e5)])
        try await shop.settleDown()
        shop.clock.jump(seconds: 1000)
        _ = try await shop.onLoop { $0.pause(false) }
        try await shop.kind.log.until { $0.began == [ids[1]] }
        try await shop.settleDown()
        #expect(try await shop.state(ids[0]) == .expired)
    }
}
