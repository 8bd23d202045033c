// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The end of one attempt as the spool keeps it.
package struct Settlement: Sendable {
    package var id: JobID
    /// How the job stood on disk while it was worked on (`ready` or `scheduled`).
    package var was: JobState
    /// What it becomes: `scheduled` (with `dueAt`), `failed`, `held`, or one of the final states.
    package var state: JobState
    package var dueAt: WallTime?
    package var endedAt: WallTime
    package var kind: UInt8
    package var uid: UInt32
    package var queue: UInt16
    /// An idempotency key leads to the job.
    package var isKeyed: Bool
    /// Attempts including this one.
    package var attempts: Int
    package var fates: [Fate]?
    /// One line of JSON for the job's history (`AttemptRecord`), with its newline.
    package var history: [UInt8]
    /// Length of the submitted line, for the tally.
    package var bytes: Int

    package init(
        id: JobID, was: JobState, state: JobState, dueAt: WallTime? = nil, endedAt: WallTime, kind: UInt8, uid: UInt32,
        queue: UInt16 = 0, isKeyed: Bool = false, attempts: Int, fates: [Fate]? = nil, history: [UInt8], bytes: Int
    ) {
        self.id = id
        self.was = was
        self.state = state
        self.dueAt = dueAt
        self.endedAt = endedAt
        self.kind = kind
        self.uid = uid
        self.queue = queue
        self.isKeyed = isKeyed
        self.attempts = attempts
        self.fates = fates
        self.history = history
        self.bytes = bytes
    }

    package var group: JobGroup { JobGroup(queue: queue, uid: uid, kind: kind) }
}
