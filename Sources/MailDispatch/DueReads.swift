// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool

/// Keeps scheduled jobs from being loaded twice. They have no cursor: a read finds all that are due on disk, those that
/// were loaded before and are not yet settled included.
struct DueReads {
    /// Loaded, and the settlement not yet on disk.
    private(set) var loaded: Set<JobID> = []
    /// Settled on disk while a read was under way, which may have found them as they were before.
    private var settledMeanwhile: Set<JobID> = []
    /// Put off, and the settlement not yet on disk, or not yet told to be: a read may find them before that news comes.
    private var deferred: Set<JobID> = []
    private(set) var isReading = false
    /// The last read found nothing but known jobs, with more behind them: one must be settled to make way.
    private var isStalled = false
    /// A look is outstanding: something became due, or a look failed.
    var wantsLook = false
    /// Lanes of which the spool has, or may have, due jobs that no read has found.
    private(set) var more: Set<Lane> = []

    /// Jobs that a read may find and that are not new.
    var knownCount: Int { loaded.count + deferred.count }

    var mayBegin: Bool { !isReading && !isStalled }

    /// - Parameter skipping: lanes that have enough at hand.
    mutating func begin(skipping: Set<Lane>) {
        isReading = true
        wantsLook = false
        more = skipping
    }

    /// Returns the jobs that are new.
    mutating func end(_ due: DueJobs) -> [WaitingJob] {
        isReading = false
        defer { settledMeanwhile.removeAll() }
        let new = due.jobs.filter {
            !settledMeanwhile.contains($0.id) && !deferred.contains($0.id) && loaded.insert($0.id).inserted
        }
        more.formUnion(due.incomplete)
        isStalled = !due.incomplete.isEmpty && !due.jobs.isEmpty && new.isEmpty && knownCount > 0
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
        loaded.remove(id)
        deferred.remove(id)
        isStalled = false
    }

    mutating func deferred(_ id: JobID) { deferred.insert(id) }
}
