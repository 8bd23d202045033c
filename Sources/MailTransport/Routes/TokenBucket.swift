// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// So many mails a second, over all workers.
///
/// A value without I/O. Tokens come at a steady rate and are kept up to a tenth of a second's worth, so that a burst
/// after a quiet time does not break the rule; at least one is kept. Times are monotonic seconds.
package struct TokenBucket: Equatable, Sendable {
    package private(set) var rate: Double
    private var capacity: Double
    private var tokens: Double
    private var filledAt: Double

    /// - Parameter rate: tokens a second, above 0.
    package init(rate: Double, now: Double) {
        self.rate = rate
        capacity = max(1, rate / 10)
        tokens = capacity
        filledAt = now
    }

    /// From now on tokens come at another rate; those that are there stay.
    package mutating func change(rate: Double, now: Double) {
        fill(at: now)
        self.rate = rate
        capacity = max(1, rate / 10)
        tokens = min(tokens, capacity)
    }

    /// True, and one token fewer, where there is one.
    package mutating func take(at now: Double) -> Bool {
        fill(at: now)
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }

    /// Seconds until there are `count` tokens, however many may be kept; 0 where they are there.
    package func wait(for count: Int = 1, at now: Double) -> Double {
        let there = min(capacity, tokens + max(0, now - filledAt) * rate)
        return max(0, (Double(count) - there) / rate)
    }

    private mutating func fill(at now: Double) {
        // A nanosecond's worth of rounding must not cost a whole wait.
        tokens = min(capacity, tokens + max(0, now - filledAt) * rate + 1e-9)
        filledAt = max(filledAt, now)
    }
}
