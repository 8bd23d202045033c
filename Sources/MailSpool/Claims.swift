// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What a node of a fleet wants to have at hand next.
package struct ClaimWish: Equatable, Sendable {
    /// Of all lanes together, and of one.
    package var jobsMax: Int
    package var laneMax: Int
    /// No further lane once their bodies have reached it.
    package var bytesMax: Int
    /// Lanes that have enough at hand.
    package var skipping: Set<Lane>
    /// Of these queues no more than so many.
    package var rooms: [UInt16: Int]

    package init(
        jobsMax: Int, laneMax: Int, bytesMax: Int = Limits.windowBytesMax, skipping: Set<Lane> = [],
        rooms: [UInt16: Int] = [:]
    ) {
        self.jobsMax = jobsMax
        self.laneMax = laneMax
        self.bytesMax = bytesMax
        self.skipping = skipping
        self.rooms = rooms
    }
}

/// Jobs that are this node's for as long as its session lasts.
package struct ClaimedJobs: Sendable {
    package var jobs: [WaitingJob] = []
    /// The session that they were claimed in: once the node has another, they may be others'.
    package var session: Int64
    /// There are, or may be, more.
    package var hasMore = false

    package init(session: Int64) { self.session = session }
}
