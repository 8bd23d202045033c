// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Whether a relay is worth a try: closed while it takes sessions, open while it does not, half-open while one mail
/// finds out.
///
/// A value without I/O. It opens when no session comes about (no connection, no TLS, no login); the wait until the next
/// probe doubles from one second to five minutes, give or take a fifth. Times are monotonic seconds.
package struct Breaker: Equatable, Sendable {
    package enum State: String, Sendable {
        case closed, open
        case halfOpen = "half-open"
    }

    package enum Admission: Equatable, Sendable {
        case pass
        /// The one mail that finds out; how it went must be told by `succeeded` or `failed`.
        case probe
        /// Not before so many seconds from now.
        case wait(Double)
    }

    package static let firstSeconds = 1.0
    package static let secondsMax = 300.0
    package static let jitter = 0.2

    package private(set) var state = State.closed
    /// Why it opened, or stayed open; nil while closed.
    package private(set) var cause: Reply?
    /// When the next probe may go; nil unless open.
    package private(set) var probeAt: Double?
    /// The wait that ends at `probeAt`, or ended with the probe.
    private var wait = 0.0
    private var failures = 0

    package init() {}

    package mutating func admit(at now: Double) -> Admission {
        switch state {
        case .closed: return .pass
        case .halfOpen: return .wait(secondsUntilProbe(at: now))
        case .open:
            guard let probeAt, now >= probeAt else { return .wait(secondsUntilProbe(at: now)) }
            state = .halfOpen
            self.probeAt = nil
            return .probe
        }
    }

    /// While a probe is out: until it is worth asking again.
    package func secondsUntilProbe(at now: Double) -> Double {
        switch state {
        case .closed: 0
        case .open: max(0, (probeAt ?? now) - now)
        case .halfOpen: max(Self.firstSeconds, wait / 2)
        }
    }

    /// A session came about. Returns whether that is news.
    @discardableResult
    package mutating func succeeded() -> Bool {
        guard state != .closed else { return false }
        self = Breaker()
        return true
    }

    /// No session came about. Mails that were on their way when it opened tell nothing new.
    /// - Parameters:
    ///   - wasProbe: the mail was the one that `admit` called a probe.
    ///   - chance: 0 up to 1, drawn by the caller.
    /// - Returns: whether it is open because of this.
    @discardableResult
    package mutating func failed(_ cause: Reply, wasProbe: Bool, at now: Double, chance: Double) -> Bool {
        guard state == .closed || (state == .halfOpen && wasProbe) else { return false }
        let base = min(Self.secondsMax, Self.firstSeconds * Double(1 << min(failures, 9)))
        failures += 1
        wait = base * (1 - Self.jitter + 2 * Self.jitter * chance)
        state = .open
        self.cause = cause
        probeAt = now + wait
        return true
    }
}
