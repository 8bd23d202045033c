// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import NIOCore

/// What is at hand of one lane, and where the rest is to be read.
struct LaneWindow {
    let lane: Lane
    /// Scheduled jobs whose time has come: older than any fresh one.
    var due = CircularBuffer<WaitingJob>()
    var fresh = CircularBuffer<WaitingJob>()
    var bytes = 0
    /// Every ready job up to here was loaded.
    var cursor = JobID(raw: 0)
    /// The spool has, or may have, ready jobs after the cursor.
    var more = false
    var isReading = false
    /// The lane's place among those of its queue: what it has been given, in jobs.
    var pass = 0.0

    init(_ lane: Lane) { self.lane = lane }

    var count: Int { due.count + fresh.count }
    var head: WaitingJob? { due.first ?? fresh.first }

    mutating func take() -> WaitingJob? {
        guard let job = due.popFirst() ?? fresh.popFirst() else { return nil }
        bytes -= job.body.readableBytes
        return job
    }

    /// Removes those of `ids` that are at hand, and returns them.
    mutating func remove(_ ids: Set<JobID>) -> [WaitingJob] {
        let removed = Array(due.filter { ids.contains($0.id) }) + Array(fresh.filter { ids.contains($0.id) })
        guard !removed.isEmpty else { return [] }
        due.removeAll { ids.contains($0.id) }
        fresh.removeAll { ids.contains($0.id) }
        bytes -= removed.reduce(0) { $0 + $1.body.readableBytes }
        return removed
    }

    /// Few large jobs fill a lane as well as many small ones.
    var runsLow: Bool {
        fresh.isEmpty || (fresh.count < Limits.windowJobsMax / 4 && bytes < Limits.windowBytesMax / 4)
    }

    var dueRunsLow: Bool { due.count < Limits.windowJobsMax / 4 }
}
