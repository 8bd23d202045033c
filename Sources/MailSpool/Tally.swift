// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// How many jobs, and bytes of jobs, are on disk, by state. Kept in the same transaction as the jobs, so that neither a
/// start nor a look at the status has to count rows.
package struct Tally: Equatable, Sendable {
    package var ready = 0
    package var scheduled = 0
    package var held = 0
    package var failed = 0
    /// Finished jobs of which the history is still kept.
    package var finished = 0
    /// Lengths of the lines of all jobs that are not finished.
    package var bytes = 0

    package init() {}

    /// Jobs that still hold their body.
    package var jobs: Int { ready + scheduled + held + failed }

    package mutating func add(_ state: JobState, jobs: Int, bytes: Int) {
        switch state {
        case .ready, .running: ready += jobs
        case .scheduled: scheduled += jobs
        case .held: held += jobs
        case .failed: failed += jobs
        case .delivered, .cancelled, .expired:
            finished += jobs
            return
        }
        self.bytes += bytes
    }

    package mutating func move(_ settlement: Settlement) {
        add(settlement.was, jobs: -1, bytes: -settlement.bytes)
        add(settlement.state, jobs: 1, bytes: settlement.bytes)
    }

    /// Undoes `move`, for a settlement that found no job.
    package mutating func moveBack(_ settlement: Settlement) {
        add(settlement.state, jobs: -1, bytes: -settlement.bytes)
        add(settlement.was, jobs: 1, bytes: settlement.bytes)
    }
}
