// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Synchronization

/// Lanes of which the dispatcher knows that more is on disk than at hand: it will read them, and finds there what has
/// been committed meanwhile. Of new jobs in these it need not hear, so that a burst, or a queue that stands still, does
/// not wake it once a commit.
package final class KnownLanes: Sendable {
    private let lanes = Mutex<Set<Lane>>([])

    package init() {}

    /// A lane that is about to be read is taken out before: then whatever is committed after the read is heard of.
    package func set(_ known: Set<Lane>) { lanes.withLock { $0 = known } }

    /// Whether all jobs of these chunks, which are on disk by now, are in such lanes, and are due at once.
    package func holdAll(_ chunks: [Chunk]) -> Bool {
        lanes.withLock { lanes in
            guard !lanes.isEmpty else { return false }
            var last: Lane?
            return chunks.allSatisfy { chunk in
                chunk.submissions.allSatisfy { job in
                    let lane = Lane(priority: job.priority, queue: job.queue, uid: chunk.uid)
                    // Most jobs come many of a lane.
                    guard job.dueAt == nil, lane == last || lanes.contains(lane) else { return false }
                    last = lane
                    return true
                }
            }
        }
    }
}
