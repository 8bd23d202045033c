// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import NIOCore

/// Ready jobs at hand, and where the rest is to be read: a bounded window on a queue that lives on disk.
///
/// A value without I/O. Each priority has a lane: jobs in the order of age, and a cursor up to which the spool's ready
/// jobs have been loaded. While a lane keeps up, committed jobs enter it straight from memory; once it is full it only
/// remembers that there is more, and is filled by reading from its cursor. Scheduled jobs whose time has come enter the
/// lanes by reads of their own (`DueReads`).
///
/// Reads and commits are told by different threads, each in its own order: a read may be told before a commit that it
/// has seen, and after one that it has not.
package struct ReadyWindow {
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

        /// Few large jobs fill a lane as well as many small ones.
        var runsLow: Bool {
            fresh.isEmpty || (fresh.count < Limits.windowJobsMax / 4 && bytes < Limits.windowBytesMax / 4)
        }
    }

    private var lanes = [Lane](repeating: Lane(), count: Limits.priorityMax + 1)
    private var due = DueReads()
    package private(set) var count = 0

    /// What a start knows: there may be ready jobs of any priority on disk.
    package init(hasReady: Bool) {
        for index in lanes.indices { lanes[index].more = hasReady }
    }

    /// The next job: highest priority first, then age.
    package mutating func next() -> WaitingJob? {
        guard count > 0 else { return nil }
        for index in lanes.indices.reversed() where lanes[index].count > 0 {
            count -= 1
            return lanes[index].take()
        }
        return nil
    }

    // MARK: Ready

    /// True where the job fits in and nothing older is still to be read; else the lane remembers that there is more.
    package mutating func admits(_ id: JobID, priority: UInt8, length: Int) -> Bool {
        let index = Int(priority)
        // A read was quicker than the news of the commit.
        guard id > lanes[index].cursor else { return false }
        guard !lanes[index].more, !lanes[index].isReading, lanes[index].hasRoom(for: length) else {
            lanes[index].more = true
            return false
        }
        return true
    }

    package mutating func add(_ job: WaitingJob) {
        let index = Int(job.priority)
        lanes[index].fresh.append(job)
        lanes[index].bytes += job.body.readableBytes
        lanes[index].cursor = job.id
        count += 1
    }

    /// Lanes that should be read now: there is more, and what is at hand runs low.
    package mutating func lanesToRead() -> [(priority: UInt8, after: JobID)] {
        var reads: [(priority: UInt8, after: JobID)] = []
        for index in lanes.indices.reversed() {
            guard lanes[index].more, !lanes[index].isReading, lanes[index].runsLow else { continue }
            lanes[index].isReading = true
            // What is committed from here on may be missed by the read, and sets this again.
            lanes[index].more = false
            reads.append((UInt8(index), lanes[index].cursor))
        }
        return reads
    }

    /// - Parameter complete: the read came to the end of what there was.
    package mutating func loaded(_ jobs: [WaitingJob], priority: UInt8, complete: Bool) {
        let index = Int(priority)
        lanes[index].isReading = false
        if !complete { lanes[index].more = true }
        for job in jobs where job.id > lanes[index].cursor { add(job) }
    }

    // MARK: Due

    /// Scheduled jobs at hand or in hand, until their settlement is on disk.
    package var dueLoaded: Int { due.loaded.count }

    /// A look for due jobs is outstanding, and may begin.
    package var wantsDue: Bool { due.more && due.mayBegin && dueRunsLow }

    private var dueRunsLow: Bool { lanes.reduce(0) { $0 + $1.due.count } < Limits.windowJobsMax / 4 }

    /// Begins a look for due jobs. Returns how many of those that it will find are known; nil where the look must wait,
    /// and is remembered.
    package mutating func beginDue() -> Int? {
        guard due.mayBegin, dueRunsLow else {
            due.more = true
            return nil
        }
        due.begin()
        return due.knownCount
    }

    /// - Parameter complete: the look came to the end of what was due.
    package mutating func loadedDue(_ jobs: [WaitingJob], complete: Bool) {
        for job in due.end(jobs, complete: complete) {
            let index = Int(job.priority)
            lanes[index].due.append(job)
            lanes[index].bytes += job.body.readableBytes
            count += 1
        }
    }

    /// The attempt has ended, and the job is to be scheduled; `settled` follows.
    package mutating func deferred(_ id: JobID) { due.deferred(id) }

    /// The job's settlement is on disk.
    package mutating func settled(_ id: JobID) { due.settled(id) }

    /// When the longest-waiting job at hand became ready.
    package var oldest: WallTime? {
        lanes.compactMap { $0.head?.readyAt }.min()
    }
}
