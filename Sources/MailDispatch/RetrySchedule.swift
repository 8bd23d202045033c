// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// When a job that was put off is tried again.
///
/// The wait doubles with each attempt from `firstSeconds` up to `waitSecondsMax`, give or take a fifth: jitter, so that
/// what one outage put off does not come back in one instant. RFC 5321 §4.5.4.1 asks for parameters like these.
package struct RetrySchedule: Equatable, Sendable {
    package var firstSeconds: Double
    package var waitSecondsMax: Double

    package init(firstSeconds: Double = 30, waitSecondsMax: Double = 3600) {
        self.firstSeconds = firstSeconds
        self.waitSecondsMax = waitSecondsMax
    }

    package static let jitter = 0.2

    /// Seconds until the next attempt.
    /// - Parameters:
    ///   - attempts: attempts that have ended, at least 1.
    ///   - chance: 0 up to 1, drawn by the caller.
    package func wait(afterAttempts attempts: Int, chance: Double) -> Double {
        var wait = firstSeconds
        for _ in 1..<max(1, attempts) where wait < waitSecondsMax { wait *= 2 }
        let spread = 1 - Self.jitter + 2 * Self.jitter * chance
        return min(wait, waitSecondsMax) * spread
    }
}
