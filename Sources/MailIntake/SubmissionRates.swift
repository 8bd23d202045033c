// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// How many jobs each user has submitted of late.
///
/// A value without I/O. Whoever was silent for a minute may hand in a minute's worth at once, and after that one after
/// the other, as time goes by. Times are monotonic seconds.
package struct SubmissionRates {
    private struct Allowance {
        var jobs: Double
        var filledAt: Double
    }

    private var allowances: [UInt32: Allowance] = [:]

    package init() {}

    /// Seconds until the user may hand in a job; nil where that is now.
    package mutating func wait(of user: UInt32, perMinute: Int, now: Double) -> Double? {
        let most = Double(perMinute)
        var allowance = allowances[user] ?? Allowance(jobs: most, filledAt: now)
        allowance.jobs = min(most, allowance.jobs + max(0, now - allowance.filledAt) * most / 60)
        allowance.filledAt = max(now, allowance.filledAt)
        allowances[user] = allowance
        // A nanosecond's worth of rounding must not cost a whole wait.
        return allowance.jobs + 1e-9 >= 1 ? nil : (1 - allowance.jobs) * 60 / most
    }

    /// A job was taken.
    package mutating func take(of user: UInt32) { allowances[user]?.jobs -= 1 }
}
