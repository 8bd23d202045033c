// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// How the writer waits for the next work: asleep, or awake for a moment.
///
/// A client that submits one job, reads the answer and submits the next keeps four threads in a row waiting for each
/// other, and waking a thread on a processor that has gone to sleep takes longer than parsing the job and writing it
/// down. So the writer stays awake for a moment where the last job came so soon after the one before it, and alone:
/// where more come at once there is no time to sleep, and where they come seldom nothing is to be gained.
package struct WriterPace {
    /// The last job came alone, and soon.
    private var isBrisk = false
    private var crowd = Crowd()
    /// There is a processor for those who are waited for.
    private let isSpared: Bool

    package init(processors: Int = System.coreCount) { isSpared = processors > 1 }

    package var awakeSeconds: Double { isBrisk ? Limits.awakeSeconds : 0 }

    /// - Parameter gaveWay: seconds for which others had the processor meanwhile.
    package mutating func took(chunks: Int, since began: Double, at now: Double, gaveWay: Double) {
        crowd.gaveWay(for: gaveWay, at: now)
        isBrisk = isSpared && chunks == 1 && now - began < Limits.briskSeconds && !crowd.isThere(at: now)
    }
}

/// Whether others want the processors of a thread that stays awake by giving way.
///
/// The kernel lets a thread that gave way run again when it comes to its turn, and one that slept at once: where there
/// are others, staying awake makes the answers later.
package struct Crowd {
    private var until = -Double.infinity

    package init() {}

    package mutating func gaveWay(for seconds: Double, at now: Double) {
        if seconds > Self.crowdedSeconds { until = now + Self.restSeconds }
    }

    package func isThere(at now: Double) -> Bool { now < until }

    /// Clients and threads of ours need less at a time; whoever computes takes milliseconds.
    package static let crowdedSeconds = 0.0002
    /// So that what was lost by trying is a thousandth of the time.
    package static let restSeconds = 2.0
}
