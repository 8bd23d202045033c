// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import Testing

@Suite("An outage", .timeLimit(.minutes(1)))
struct OutageTests {
    @Test("a thousand jobs wait through it with no attempt used up, and then are all run")
    func thousand() async throws {
        let shop = try Shop(workers: 8)
        shop.kind.outage(0.05)
        let count = 1000
        let ids = try await shop.submit((0..<count).map { _ in .init(attemptsMax: 1) })
        for probe in 1...4 {
            try await shop.kind.log.until { $0.began.count >= probe * count && $0.inHand == 0 }
            try await shop.settleDown()
            #expect(shop.kind.log.value.began.count == probe * count, "once for each time they were due")
            #expect(shop.spool.tally.scheduled == count && shop.spool.tally.ready == 0)
            shop.clock.advance(seconds: 1)
        }
        try await shop.kind.log.until { $0.began.count >= 5 * count && $0.inHand == 0 }
        shop.kind.outage(nil)
        shop.kind.answerAll(HandKind.delivered)
        try await shop.settleDown()
        shop.clock.advance(seconds: 1)
        let log = try await shop.kind.log.until { $0.began.count >= 6 * count }
        try await shop.settleDown()
        #expect(Set(log.attempts) == [1])
        #expect(shop.spool.tally.jobs == 0 && shop.spool.tally.finished == count)
        #expect(try await shop.state(ids[0]) == .delivered)
    }

    @Test("it does not outlive expires_at: the job expires at that moment, never tried")
    func expires() async throws {
        let shop = try Shop()
        shop.kind.outage(0.05)
        let id = try await shop.submit([.init(expiry: 0.04)])[0]
        try await shop.kind.log.until { $0.began.count == 1 && $0.inHand == 0 }
        try await shop.settleDown()
        #expect(try await shop.state(id) == .scheduled)
        shop.clock.advance(seconds: 1)
        while try await shop.state(id) != .expired {}
        #expect(shop.kind.log.value.began.count == 1)
    }
}
