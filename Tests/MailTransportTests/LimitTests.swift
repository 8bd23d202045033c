// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import Testing

@Suite("A token bucket")
struct TokenBucketTests {
    @Test("lets no more through than its rate, and no less", arguments: [0.5, 1, 3, 10, 20, 1000])
    func rate(_ rate: Double) {
        var bucket = TokenBucket(rate: rate, now: 50)
        var now = 50.0
        var taken = 0
        while now < 70 {
            while bucket.take(at: now) { taken += 1 }
            let wait = bucket.wait(at: now)
            #expect(wait > 0)
            now += wait
        }
        let burst = max(1, rate / 10)
        #expect(Double(taken) <= 20 * rate + burst + 0.5)
        #expect(Double(taken) >= 20 * rate - 1)
    }

    @Test("a quiet time saves up a tenth of a second's worth, and at least one")
    func burst() {
        for (rate, kept) in [(5.0, 1), (10, 1), (40, 4), (1000, 100)] {
            var bucket = TokenBucket(rate: rate, now: 0)
            var taken = 0
            while bucket.take(at: 3600) { taken += 1 }
            #expect(taken == kept, "\(rate) a second")
        }
    }

    @Test("goes on at another rate, with what is there and no more than that keeps")
    func changes() {
        var bucket = TokenBucket(rate: 100, now: 0)
        bucket.change(rate: 20, now: 0)
        #expect(bucket.rate == 20)
        #expect((bucket.take(at: 0)) as Bool)
        #expect((bucket.take(at: 0)) as Bool)
        #expect(abs(bucket.wait(at: 0) - 0.05) < 1e-6)
        bucket.change(rate: 100, now: 0)
        #expect(abs(bucket.wait(at: 0) - 0.01) < 1e-6)
    }

    @Test("tells how long a place in line lasts")
    func waits() {
        var bucket = TokenBucket(rate: 2, now: 0)
        #expect(bucket.wait(at: 0) == 0)
        #expect((bucket.take(at: 0)) as Bool)
        #expect(bucket.wait(for: 1, at: 0) == 0.5)
        #expect(bucket.wait(for: 4, at: 0) == 2)
        #expect(bucket.wait(for: 1, at: 0.25) == 0.25)
    }
}

@Suite("A throttle")
struct ThrottleTests {
    @Test("leaves everything open until it is asked for less")
    func open() {
        var throttle = Throttle()
        throttle.succeeded(at: 1)
        #expect(
            (!throttle.isActive && throttle.limit(at: 2) == nil && throttle.wait(inFlight: 1000, at: 2) == 0) as Bool)
    }

    @Test("halves with each throttling reply to newer mail, down to a mail a minute")
    func halves() {
        var throttle = Throttle()
        var limits: [Double] = []
        for round in 0..<14 {
            let now = Double(round) * 0.001
            throttle.throttled(sentAt: now, inFlight: 16, at: now)
            // What was sent before tells nothing new.
            for _ in 0..<15 { throttle.throttled(sentAt: now - 0.0005, inFlight: 15, at: now) }
            limits.append(((throttle.limit(at: now) ?? 0) * 64).rounded() / 64)
        }
        #expect(Array(limits.prefix(6)) == [8, 4, 2, 1, 0.5, 0.25])
        #expect(abs((limits.last ?? 0) - Throttle.limitMin) < 0.01)
    }

    @Test("below one it is one mail and then a rest")
    func rests() {
        var throttle = Throttle()
        for now in [0.0, 0.001] { throttle.throttled(sentAt: now, inFlight: 1, at: now) }
        let wait = throttle.wait(inFlight: 0, at: 0.001) ?? 0
        #expect(wait > 2.5 && wait <= 3)
        #expect((throttle.wait(inFlight: 1, at: 0.001) == nil) as Bool)
        #expect((throttle.wait(inFlight: 0, at: 3.1) == 0) as Bool)
    }

    @Test("grows by about one with each full round of good replies, and opens again")
    func grows() {
        var throttle = Throttle()
        throttle.throttled(sentAt: 0, inFlight: 16, at: 0)
        for _ in 0..<8 { throttle.succeeded(at: 0) }
        let limit = throttle.limit(at: 0) ?? 0
        #expect(limit > 8.8 && limit <= 9)
        #expect((throttle.wait(inFlight: 8, at: 0) == nil && throttle.wait(inFlight: 7, at: 0) == 0) as Bool)
        for _ in 0..<200 { throttle.succeeded(at: 0) }
        #expect(!throttle.isActive)
    }

    @Test("recovers without any mail, one every ten seconds")
    func recovers() {
        var throttle = Throttle()
        throttle.throttled(sentAt: 0, inFlight: 8, at: 0)
        #expect((throttle.limit(at: 0) == 4) as Bool)
        #expect((throttle.limit(at: 20) == 6) as Bool)
        #expect((throttle.limit(at: 39) != nil) as Bool)
        #expect((throttle.limit(at: 40.1) == nil) as Bool)
    }

    @Test(
        "throttling replies are told from those that speak of the mail, and from our own words",
        arguments: [
            (Reply(421, "", "busy"), true), (Reply(421, "4.7.0"), true), (Reply(450, "4.7.1"), true),
            (Reply(451), true), (Reply(451, "4.7.650"), true), (Reply(451, "4.3.2"), true), (Reply(454), true),
            (Reply(454, "4.7.0"), true), (Reply(451, "4.4.2", "lost the connection"), false),
            (Reply(451, "4.5.0"), false), (Reply(451, "4.3.0"), false), (Reply(450, "4.2.1"), false),
            (Reply(450), false),
            (Reply(452, "4.2.2"), false), (Reply(452), false), (Reply(550, "5.7.1"), false),
        ])
    func replies(reply: Reply, isThrottling: Bool) {
        #expect(Throttle.isThrottling(reply) == isThrottling)
    }
}
