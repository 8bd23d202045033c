// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// How long to wait before the next try to connect: twice as long each time, give or take a fifth, so that what one
/// outage cut off does not come back in one instant. A value; time and chance are the caller's.
package struct Backoff: Equatable, Sendable {
    private let first: Double
    private let longest: Double
    private var failures = 0

    /// Seconds.
    package init(first: Double = 0.1, longest: Double = 15) {
        self.first = first
        self.longest = longest
    }

    /// - Parameter chance: 0 up to 1, drawn by the caller.
    package mutating func next(chance: Double) -> Double {
        let wait = min(longest, first * Double(1 << min(failures, 16)))
        failures += 1
        return wait * (0.8 + 0.4 * chance)
    }

    package mutating func succeeded() { failures = 0 }
}
