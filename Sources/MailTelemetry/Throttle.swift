// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets one line a second through and counts the others, where a flood of one kind would bury the rest of the log.
final class Throttle: Sendable {
    /// Monotonic time of the next line in nanoseconds.
    private let next = Atomic<Int64>(.min)
    private let held = Atomic<Int>(0)

    init() {}

    /// nil: keep silent. Else write, and say how many were kept silent since the last time.
    func pass(_ now: Double) -> Int? {
        let now = Int64(now * 1e9)
        let next = next.load(ordering: .relaxed)
        guard now >= next,
            self.next.compareExchange(expected: next, desired: now + 1_000_000_000, ordering: .relaxed).exchanged
        else {
            held.wrappingAdd(1, ordering: .relaxed)
            return nil
        }
        return held.exchange(0, ordering: .relaxed)
    }
}
