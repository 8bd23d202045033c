// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool

/// Keeps scheduled jobs from being loaded twice. They have no cursor: a read finds all that are due on disk, those that
/// were loaded before and are not yet settled included.
struct DueReads {
    /// Loaded, and the settlement not yet on disk.
    private(set) var loaded: [JobID: JobClass] = [:]
    /// Settled on disk while a read was under way, which may have found them as they were before.
    private var settledMeanwhile: Set<JobID> = []
    /// Put off, and the settlement not yet on disk, or not yet told to be: a read may find them before that news comes.
    private var deferred: Set<JobID> = []
    private(set) var isReading = false
    /// Lanes of which the last read found nothing but known jobs, with more behind them: one of these must be settled
    /// to make way. It may be long in coming (its queue may be paused), and is nothing to the other lanes.
    private var stalled: [Lane: Set<JobID>] = [:]
    /// A look is outstanding: something became due, or a look failed.
    var wantsLook = false
    /// Lanes of which the spool has, or may have, due jobs that no read has found.
    private var more: Set<Lane> = []

    /// Jobs that a read may find and that are not new.
    var knownCount: Int { loaded.count + deferred.count }

    var mayBegin: Bool { !isReading }

    /// Lanes of which a read may bring more.
    var open: Set<Lane> { stalled.isEmpty ? more : more.filter { stalled[$0] == nil } }

    /// Returns which lanes are to be left out.
    /// - Parameter full: lanes that have enough at hand.
    mutating func begin(full: Set<Lane>) -> Set<Lane> {
        isReading = true
        wantsLook = false
        more = full.union(stalled.keys)
        return more
    }

    /// Returns the jobs that are new.
    mutating func end(_ due: DueJobs) -> [WaitingJob] {
        isReading = false
        defer { settledMeanwhile.removeAll() }
        more.formUnion(due.incomplete)
        var moving: Set<Lane> = []
        var new: [WaitingJob] = []
        for job in due.jobs {
            if settledMeanwhile.contains(job.id) {
                moving.insert(job.lane)
            } else if !deferred.contains(job.id), loaded[job.id] == nil {
                loaded[job.id] = JobClass(job.queue, job.kind)
                moving.insert(job.lane)
                new.append(job)
            }
        }
        for lane in due.incomplete where !moving.contains(lane) {
            let known = Set(due.jobs.filter { $0.lane == lane }.map(\.id))
            if !known.isEmpty { stalled[lane] = known }
        }
        return new
    }

    mutating func failed() {
        isReading = false
        settledMeanwhile.removeAll()
        wantsLook = true
    }

    mutating func settled(_ id: JobID) {
        if isReading { settledMeanwhile.insert(id) }
        guard knownCount > 0 else { return }
        loaded[id] = nil
        deferred.remove(id)
        if !stalled.isEmpty { stalled = stalled.filter { !$0.value.contains(id) } }
    }

    mutating func deferred(_ id: JobID) { deferred.insert(id) }
}
