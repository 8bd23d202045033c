// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The line a ready job waits in: jobs of one priority and queue, from one user. Lines take turns, so that nobody's
/// hundred thousand hold up somebody else's one.
package struct Lane: Hashable, Sendable {
    package var priority: UInt8
    /// The queue's number in the spool; 0 is `default`.
    package var queue: UInt16
    /// The submitting user.
    package var uid: UInt32

    package init(priority: UInt8 = UInt8(Limits.priorityDefault), queue: UInt16 = 0, uid: UInt32) {
        self.priority = priority
        self.queue = queue
        self.uid = uid
    }
}
