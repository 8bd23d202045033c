// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailFeed
import Testing

@Suite struct BackoffTests {
    @Test func theWaitDoublesUpToItsBoundAndBeginsAnewAfterASuccess() {
        var backoff = Backoff(first: 0.1, longest: 1)
        #expect((0..<5).map { _ in backoff.next(chance: 0.5) } == [0.1, 0.2, 0.4, 0.8, 1])
        backoff.succeeded()
        #expect(backoff.next(chance: 0.5) == 0.1)
    }

    @Test func aFifthMoreOrLessKeepsManyFromComingBackAtOnce() {
        var (early, late) = (Backoff(first: 1), Backoff(first: 1))
        #expect(abs(early.next(chance: 0) - 0.8) < 1e-9)
        #expect(abs(late.next(chance: 1) - 1.2) < 1e-9)
    }
}
