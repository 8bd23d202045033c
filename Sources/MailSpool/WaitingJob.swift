// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// A job that may be worked on, as it is read back from the spool.
package struct WaitingJob: Sendable {
    package var id: JobID
    /// `ready` or `scheduled` (with its time come): how the job stands on disk.
    package var state: JobState
    package var kind: UInt8
    package var priority: UInt8
    package var uid: UInt32
    /// The queue's number in the spool.
    package var queue: UInt16
    /// Attempts that have ended so far.
    package var attempts: Int
    package var attemptsMax: Int
    package var expiresAt: WallTime
    /// When it became, or becomes, ready: acceptance, or its due time.
    package var readyAt: WallTime
    /// One byte a recipient, nil while all are open.
    package var fates: [Fate]?
    /// An idempotency key leads to it.
    package var isKeyed: Bool
    /// The submitted line; empty where it is large: then it is read once the job is begun.
    package var body: ByteBuffer
    /// Of the submitted line.
    package var length: Int
    /// How often it was claimed by any node; 0 where claims are kept in memory.
    package var claim: Int64 = 0

    package init(
        id: JobID, state: JobState, kind: UInt8, priority: UInt8, uid: UInt32, queue: UInt16 = 0, attempts: Int,
        attemptsMax: Int, expiresAt: WallTime, readyAt: WallTime, fates: [Fate]?, isKeyed: Bool = false,
        body: ByteBuffer, length: Int? = nil
    ) {
        self.id = id
        self.state = state
        self.kind = kind
        self.priority = priority
        self.uid = uid
        self.queue = queue
        self.attempts = attempts
        self.attemptsMax = attemptsMax
        self.expiresAt = expiresAt
        self.readyAt = readyAt
        self.fates = fates
        self.isKeyed = isKeyed
        self.body = body
        self.length = length ?? body.readableBytes
    }

    package var isLarge: Bool { length > Limits.largeBodyBytes }

    package var lane: Lane { Lane(priority: priority, queue: queue, uid: uid) }
}
