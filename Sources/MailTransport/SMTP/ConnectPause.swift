// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// After a failed connect the relay is left alone: for a second, then for twice as long each time, a minute at most.
struct ConnectPause {
    static let secondsMax: Int64 = 60

    /// Why the last try failed; nil after a good one.
    private(set) var cause: Reply?
    private var until = NIODeadline.distantPast
    private var failures = 0

    func isOver(at now: NIODeadline) -> Bool { now >= until }

    /// Until it is over; a second at least.
    func seconds(at now: NIODeadline) -> Double { max(1, Double((until - now).nanoseconds) / 1e9) }

    /// Several connections that fail together count as one failure.
    mutating func failed(_ cause: Reply, at now: NIODeadline) {
        self.cause = cause
        guard isOver(at: now) else { return }
        until = now + .seconds(min(Self.secondsMax, 1 << min(failures, 6)))
        failures += 1
    }

    mutating func succeeded() { self = ConnectPause() }
}
