// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Whether the intake loop may stand still for a job that is alone, until it is on disk.
///
/// It may where the disk is quick: then waking the spool's writer, and the loop again, takes as long as the disk does,
/// and whoever comes meanwhile waits less than for the commit that the writer would have under way.
package struct LonePace {
    /// Chunks that the spool has.
    private var away = 0
    /// When a lone one left.
    private var leftAt: Double?
    /// How long a lone one was away of late.
    private var usualSeconds = 0.0

    package init() {}

    /// One chunk is away, and comes back soon.
    package var mayStandStill: Bool { away == 1 && usualSeconds < Limits.standStillSeconds }

    package mutating func handedOver(_ chunks: Int, at now: Double) {
        away += chunks
        leftAt = away == 1 ? now : nil
    }

    package mutating func answered(_ chunks: Int, at now: Double) {
        away -= chunks
        if let leftAt { usualSeconds += (now - leftAt - usualSeconds) / Self.memory }
        leftAt = nil
    }

    /// Chunks over which `usualSeconds` is taken.
    private static let memory = 8.0
}
