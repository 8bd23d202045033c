// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// When mail that cannot go now should come again: one after the other, so that a whole queue's return is no rush, and
/// nobody writes more than a bounded number of them to disk in a second.
///
/// A value without I/O; counts those that were sent away by the second of their return, never the mails themselves.
/// Times are monotonic seconds.
struct WaitingRoom {
    /// Returns a second while the relay is away: what a spool writes beside its other work without anybody noticing.
    static let returnsMax = 500.0

    /// When the last of those sent away will return.
    private var horizon = 0.0
    /// By the whole second of their return.
    private var returning: [Int: Int] = [:]
    private var total = 0
    private var forgottenUpTo = 0

    /// The return time of one more.
    /// - Parameters:
    ///   - earliest: not before.
    ///   - rate: returns a second.
    mutating func next(notBefore earliest: Double, rate: Double, at now: Double) -> Double {
        forget(before: now)
        horizon = max(horizon + 1 / rate, earliest)
        returning[Int(horizon.rounded(.up)), default: 0] += 1
        total += 1
        return horizon
    }

    /// How many have not returned yet.
    mutating func count(at now: Double) -> Int {
        forget(before: now)
        return total
    }

    /// From here on mail may come at once: what was promised for later holds no one up that comes now.
    mutating func reopen(at now: Double) { horizon = min(horizon, now) }

    private mutating func forget(before now: Double) {
        let second = Int(now)
        guard second > forgottenUpTo else { return }
        if second - forgottenUpTo > returning.count {
            for key in returning.keys where key <= second { total -= returning.removeValue(forKey: key) ?? 0 }
        } else {
            for key in forgottenUpTo...second { total -= returning.removeValue(forKey: key) ?? 0 }
        }
        forgottenUpTo = second
    }
}
