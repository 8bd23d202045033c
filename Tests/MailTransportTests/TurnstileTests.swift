// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import Testing

@Suite("Which of a kind's jobs may begin")
struct TurnstileTests {
    private static let trouble = Reply(0, "", "no answer")

    private func seconds(_ entry: Turnstile.Entry) -> Double? {
        if case .shut(let seconds, _) = entry { seconds } else { nil }
    }

    @Test("so many at a time, and one place leaves room for another")
    func limit() {
        var turnstile = Turnstile(limit: 3)
        #expect(turnstile.enter("a", at: 0) == .open(isProbe: false))
        #expect(turnstile.enter("a", at: 0) == .open(isProbe: false))
        #expect(seconds(turnstile.enter("a", at: 0)) != nil, "the last is left to others")
        #expect(turnstile.enter("b", at: 0) == .open(isProbe: false))
        #expect(seconds(turnstile.enter("c", at: 0)) != nil)
        #expect(turnstile.leave("a", isProbe: false, trouble: nil, at: 1, chance: 0.5) == nil)
        #expect(turnstile.enter("c", at: 1) == .open(isProbe: false))
        #expect(turnstile.inHand == 3)
    }

    @Test("a place may have a limit of its own, and a kind with one place at a time still works")
    func own() {
        var turnstile = Turnstile(limit: 1)
        #expect(turnstile.enter("a", at: 0) == .open(isProbe: false))
        #expect(seconds(turnstile.enter("b", at: 0)) != nil)
        var wide = Turnstile(limit: 8)
        #expect(wide.enter("a", atMost: 1, at: 0) == .open(isProbe: false))
        #expect(seconds(wide.enter("a", atMost: 1, at: 0)) != nil)
        #expect(wide.enter("b", atMost: 8, at: 0) == .open(isProbe: false))
    }

    @Test("those without room come again one after the other, 500 a second, and faster where more is done")
    func pace() {
        var turnstile = Turnstile(limit: 1)
        _ = turnstile.enter("a", at: 0)
        let waits = (0..<3).compactMap { _ in seconds(turnstile.enter("a", at: 0)) }
        #expect(waits.map { ($0 * 1000).rounded() } == [500, 502, 504])
        for _ in 0..<1000 {
            _ = turnstile.leave("a", isProbe: false, trouble: nil, at: 10.5, chance: 0.5)
            _ = turnstile.enter("a", at: 10.5)
        }
        let later = (0..<2).compactMap { _ in seconds(turnstile.enter("a", at: 11.5)) }
        #expect((later[1] - later[0]) * 1000 < 0.51)
    }

    @Test("while a place is away one job finds out, and the others wait for it")
    func away() {
        var turnstile = Turnstile(limit: 4)
        _ = turnstile.enter("a", at: 0)
        let news = turnstile.leave("a", isProbe: false, trouble: Self.trouble, at: 0, chance: 0.5)
        #expect(news == .away(seconds: 1))
        guard case .shut(let wait, let cause) = turnstile.enter("a", at: 0.5) else {
            Issue.record("it may begin")
            return
        }
        #expect(wait >= 0.5 && cause == Self.trouble)
        #expect(turnstile.enter("b", at: 0.5) == .open(isProbe: false), "others are not concerned")
        #expect(turnstile.enter("a", at: 1) == .open(isProbe: true))
        #expect(seconds(turnstile.enter("a", at: 1)) != nil)
        #expect(turnstile.leave("a", isProbe: true, trouble: nil, at: 2, chance: 0.5) == .back)
        #expect(turnstile.enter("a", at: 2) == .open(isProbe: false))
    }

    @Test("a probe that fails doubles the wait; what was under way before tells nothing new")
    func probes() {
        var turnstile = Turnstile(limit: 4)
        _ = turnstile.enter("a", at: 0)
        _ = turnstile.enter("a", at: 0)
        #expect(turnstile.leave("a", isProbe: false, trouble: Self.trouble, at: 0, chance: 0.5) != nil)
        #expect(turnstile.leave("a", isProbe: false, trouble: Self.trouble, at: 0, chance: 0.5) == nil)
        #expect(turnstile.enter("a", at: 1) == .open(isProbe: true))
        #expect(turnstile.leave("a", isProbe: true, trouble: Self.trouble, at: 1, chance: 0.5) == .away(seconds: 2))
        #expect(turnstile.inHand == 0)
    }

    @Test("names come from outside: only so many places are remembered")
    func places() {
        var turnstile = Turnstile(limit: 4)
        for number in 0..<5000 {
            _ = turnstile.enter("\(number)", at: 0)
            _ = turnstile.leave("\(number)", isProbe: false, trouble: Self.trouble, at: 0, chance: 0.5)
        }
        #expect(turnstile.enter("0", at: 0.1) == .open(isProbe: false), "it was forgotten, which does no harm")
        #expect(seconds(turnstile.enter("4999", at: 0.1)) != nil)
    }
}
