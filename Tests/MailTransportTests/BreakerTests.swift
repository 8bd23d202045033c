// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import Testing

@Suite("A breaker")
struct BreakerTests {
    private static let cause = Reply(451, "4.4.1", "refused")

    @Test("opens with the first failure and lets one probe through, after a wait that doubles up to five minutes")
    func waits() {
        var breaker = Breaker()
        var now = 100.0
        #expect((breaker.admit(at: now) == .pass) as Bool)
        #expect((breaker.failed(Self.cause, wasProbe: false, at: now, chance: 0.5)) as Bool)
        var waits: [Double] = []
        while waits.count < 11 {
            guard case .wait(let seconds) = breaker.admit(at: now) else { break }
            waits.append(seconds.rounded())
            #expect((breaker.admit(at: now + seconds * 0.99) != .probe) as Bool)
            now += seconds
            #expect((breaker.admit(at: now) == .probe) as Bool)
            #expect(breaker.state == .halfOpen)
            #expect((breaker.failed(Self.cause, wasProbe: true, at: now, chance: 0.5)) as Bool)
        }
        #expect(waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
        #expect(breaker.cause == Self.cause)
    }

    @Test("the wait has a fifth of jitter either way", arguments: [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
    func jitter(chance: Double, seconds: Double) {
        var breaker = Breaker()
        breaker.failed(Self.cause, wasProbe: false, at: 10, chance: chance)
        #expect(abs((breaker.probeAt ?? 0) - 10 - seconds) < 1e-9)
    }

    @Test("only one probe is out at a time")
    func oneProbe() {
        var breaker = Breaker()
        breaker.failed(Self.cause, wasProbe: false, at: 0, chance: 0.5)
        #expect((breaker.admit(at: 5) == .probe) as Bool)
        for now in stride(from: 5.0, to: 500, by: 50) {
            guard case .wait(let seconds) = breaker.admit(at: now) else {
                Issue.record("a second probe at \(now)")
                continue
            }
            #expect(seconds >= 1)
        }
    }

    @Test("mails that were under way when it opened do not lengthen the wait")
    func stragglers() {
        var breaker = Breaker()
        breaker.failed(Self.cause, wasProbe: false, at: 0, chance: 0.5)
        let probeAt = breaker.probeAt
        for _ in 0..<7 { #expect((!breaker.failed(Self.cause, wasProbe: false, at: 0.5, chance: 0.5)) as Bool) }
        #expect(breaker.probeAt == probeAt)
        #expect((breaker.admit(at: 1) == .probe) as Bool)
        #expect((!breaker.failed(Self.cause, wasProbe: false, at: 1, chance: 0.5)) as Bool)
        #expect(breaker.state == .halfOpen)
    }

    @Test("a session closes it, and the next outage begins with a second again")
    func closes() {
        var breaker = Breaker()
        for now in [0.0, 10, 20] {
            _ = breaker.admit(at: now)
            breaker.failed(Self.cause, wasProbe: now > 0, at: now, chance: 0.5)
        }
        #expect((breaker.succeeded()) as Bool)
        #expect((!breaker.succeeded()) as Bool)
        #expect(breaker == Breaker())
        #expect((breaker.admit(at: 20) == .pass) as Bool)
        breaker.failed(Self.cause, wasProbe: false, at: 21, chance: 0.5)
        #expect(breaker.probeAt == 22)
    }
}
