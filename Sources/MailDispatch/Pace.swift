// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// How many jobs a node of a fleet should have at hand: as many as keep its workers busy while the next ones are
/// claimed, and no more, because other nodes cannot have them meanwhile.
///
/// A claim costs the database about as much whether it brings one job or hundreds, and it takes as long as a sync of
/// its disk. So whoever ends thousands of jobs a second needs more at hand than whoever waits for slow relays.
package struct Pace {
    /// Jobs that have ended since `since`.
    package var ended = 0
    private var since = 0.0
    /// Jobs a second, by the last looks.
    package private(set) var rate = 0.0

    /// What is at hand lasts for so long.
    static let secondsAtHand = 0.1
    /// A rate is judged over no less than this.
    private static let lookSeconds = 0.02
    /// Of the rate so much stays at each look that finds a lower one: a moment without work is no slower relay.
    private static let decay = 0.75

    package init() {}

    package mutating func look(at now: Double) {
        let seconds = now - since
        guard seconds >= Self.lookSeconds else { return }
        rate = max(Double(ended) / seconds, rate * Self.decay)
        (ended, since) = (0, now)
    }

    /// - Parameters:
    ///   - least: what the workers need in any case.
    ///   - most: a bound of memory.
    package func atHandMax(least: Int, most: Int) -> Int {
        min(most, max(least, Int(min(rate * Self.secondsAtHand, 1e6))))
    }
}
