// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import NIOCore

/// Whether the intake loop stays awake while the disk takes a job.
///
/// It does where one client alone submits one job after the other, each as soon as it has the last one's answer, on a
/// disk that answers quickly: waking the loop again takes a good part of the time that the disk does. It goes on
/// serving its sockets meanwhile, and gives way to whoever wants its processor; where somebody does, or the disk is
/// slow, it sleeps. The spool's `WriterPace` is the other half.
package struct AnswerWatch {
    /// Chunks that the spool has.
    private var away = 0
    /// When the last of them came back.
    private var answeredAt = -Double.infinity
    /// When a lone one left.
    private var leftAt: Double?
    /// How long a lone one was away of late.
    private var usualSeconds = 0.0
    private var end = 0.0
    private var isOn = false
    private var crowd = Crowd()
    /// There is a processor for the writer.
    private let isSpared: Bool

    package init(processors: Int = System.coreCount) { isSpared = processors > 1 }

    /// - Returns: whether a watch begins.
    package mutating func handedOver(_ chunks: Int, at now: Double) -> Bool {
        away += chunks
        leftAt = away == 1 ? now : nil
        guard isSpared, away == 1, !isOn, now - answeredAt < Limits.briskSeconds,
            usualSeconds < Limits.briskSeconds, !crowd.isThere(at: now)
        else { return false }
        end = now + Limits.watchSeconds
        isOn = true
        return true
    }

    /// - Parameter gaveWay: seconds for which others had the processor at the last look.
    package mutating func goesOn(at now: Double, gaveWay: Double = 0) -> Bool {
        crowd.gaveWay(for: gaveWay, at: now)
        isOn = away == 1 && now < end && !crowd.isThere(at: now)
        return isOn
    }

    package mutating func answered(_ chunks: Int, at now: Double) {
        away -= chunks
        answeredAt = now
        if let leftAt { usualSeconds += (now - leftAt - usualSeconds) / Self.memory }
        leftAt = nil
    }

    /// Chunks over which `usualSeconds` is taken.
    private static let memory = 8.0
}
