// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What maild itself needs of a line that it takes; the rest stays in the line's bytes.
package struct JobLine: Equatable, Sendable {
    /// Index in the reader's list of schemas.
    package var kind: Int
    package var priority = UInt8(Limits.priorityDefault)
    /// nil: at once.
    package var dueAt: WallTime?
    package var expiresAt: WallTime?
    package var maxAttempts: Int?
    /// The queue's number in the spool.
    package var queue: UInt16 = 0
    package var key: IdempotencyKey?
    /// The answer is to come when the outcome is known, and not when the job is on disk.
    package var waitsForOutcome = false
    /// It carries a `TraceContext`.
    package var isTraced = false
    package var recipients = 0
    /// The raw string with its quotes, in the line.
    package var ref: Range<Int>?

    package init(kind: Int) { self.kind = kind }
}
