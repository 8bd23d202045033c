// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import NIOCore

/// Ready jobs at hand, and where the rest is to be read: a bounded window on a queue that lives on disk.
///
/// A value without I/O. Each priority has a lane: jobs in the order of age, and a cursor up to which the spool's ready
/// jobs have been loaded. While a lane keeps up, committed jobs enter it straight from memory; once it is full it only
/// remembers that there is more, and is filled by reading from its cursor.
struct ReadyWindow {
    struct Lane {
        /// Deferred jobs whose time has come: older than any fresh one.
        var due = CircularBuffer<WaitingJob>()
        var fresh = CircularBuffer<WaitingJob>()
        var bytes = 0
        /// Every ready job up to here was loaded.
        var cursor = JobID(raw: 0)
        /// The spool has, or may have, ready jobs after the cursor.
        var more = false
        var isReading = false

        var count: Int { due.count + fresh.count }
        var head: WaitingJob? { due.first ?? fresh.first }

        mutating func take() -> WaitingJob? {
            guard let job = due.popFirst() ?? fresh.popFirst() else { return nil }
            bytes -= job.body.readableBytes
            return job
        }

        func hasRoom(for length: Int) -> Bool {
            count == 0 || (count < Limits.windowJobsMax && bytes + length <= Limits.windowBytesMax)
        }
    }

    private(set) var lanes = [Lane](repeating: Lane(), count: Limits.priorityMax + 1)
    /// Scheduled jobs that were loaded and whose settlement is not yet on disk: they would be read again.
    private(set) var dueLoaded: Set<JobID> = []
    private(set) var count = 0

    /// What a start knows: there may be ready jobs of any priority on disk.
    init(hasReady: Bool) {
        for index in lanes.indices { lanes[index].more = hasReady }
    }

    /// The next job: highest priority first, then age.
    mutating func next() -> WaitingJob? {
        guard count > 0 else { return nil }
        for index in lanes.indices.reversed() where lanes[index].count > 0 {
            count -= 1
            return lanes[index].take()
        }
        return nil
    }

    /// True where the job fits in and nothing older is still to be read; else the lane remembers that there is more.
    mutating func admits(priority: UInt8, length: Int) -> Bool {
        let index = Int(priority)
        guard !lanes[index].more, !lanes[index].isReading, lanes[index].hasRoom(for: length) else {
            lanes[index].more = true
            return false
        }
        return true
    }

    mutating func add(_ job: WaitingJob) {
        let index = Int(job.priority)
        lanes[index].fresh.append(job)
        lanes[index].bytes += job.body.readableBytes
        lanes[index].cursor = job.id
        count += 1
    }

    /// Lanes that should be read now: there is more, and what is at hand runs low.
    mutating func lanesToRead() -> [(priority: UInt8, after: JobID)] {
        var reads: [(priority: UInt8, after: JobID)] = []
        for index in lanes.indices.reversed() {
            let lane = lanes[index]
            guard lane.more, !lane.isReading, lane.fresh.count < Limits.windowJobsMax / 4 else { continue }
            lanes[index].isReading = true
            // What is committed from here on may be missed by the read, and sets this again.
            lanes[index].more = false
            reads.append((UInt8(index), lane.cursor))
        }
        return reads
    }

    /// - Parameter complete: the read came to the end of what there was.
    mutating func loaded(_ jobs: [WaitingJob], priority: UInt8, complete: Bool) {
        let index = Int(priority)
        lanes[index].isReading = false
        if !complete { lanes[index].more = true }
        for job in jobs where job.id > lanes[index].cursor { add(job) }
    }

    mutating func loadedDue(_ jobs: [WaitingJob]) {
        for job in jobs where dueLoaded.insert(job.id).inserted {
            let index = Int(job.priority)
            lanes[index].due.append(job)
            lanes[index].bytes += job.body.readableBytes
            count += 1
        }
    }

    mutating func settled(_ id: JobID) {
        if !dueLoaded.isEmpty { dueLoaded.remove(id) }
    }

    /// When the longest-waiting job at hand became ready.
    var oldest: WallTime? {
        lanes.compactMap { $0.head?.readyAt }.min()
    }
}
