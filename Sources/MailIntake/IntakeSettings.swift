// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// Bounds of the submission socket, from the configuration; may change while it runs.
package struct IntakeSettings: Equatable, Sendable {
    package var lineBytesMax = Limits.lineBytesMax
    package var readingBytesMax = Limits.readingBytesMax
    package var connectionsMax = Limits.connectionsMax
    package var connectionsPerUserMax = Limits.connectionsPerUserMax
    package var unansweredLinesMax = Limits.unansweredLinesMax
    package var unansweredBytesMax = Limits.unansweredBytesMax
    /// A line must be whole after so long.
    package var lineSecondsMax = Double(Limits.lineSecondsMax)
    package var recipientsMax = Limits.recipientsMax
    /// Numbers of the queues that jobs may name.
    package var queues: [String: UInt16] = ["default": 0]
    /// What a job without `expires_at` is given.
    package var expirySeconds = Double(Limits.expirySeconds)
    /// A connection that is to end is listened to for so long, so that the kernel need not reset it.
    package var lingerSeconds = 1.0

    package init() {}

    var jobLimits: JobLimits { JobLimits(recipientsMax: recipientsMax, queues: queues) }
}
