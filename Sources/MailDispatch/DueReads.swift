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
    /// The spool has, or may have, due jobs that no read has found.
    var more = false

    /// Jobs that a read may find and that are not new.
    var knownCount: Int { loaded.count + deferred.count }

    var mayBegin: Bool { !isReading && !isStalled }

    mutating func begin() {
        isReading = true
        more = false
    }

    /// Returns the jobs that are new.
    mutating func end(_ jobs: [WaitingJob], complete: Bool) -> [WaitingJob] {
        isReading = false
        defer { settledMeanwhile.removeAll() }
        let new = jobs.filter {
            !settledMeanwhile.contains($0.id) && !deferred.contains($0.id) && loaded.insert($0.id).inserted
        }
        if !complete {
            more = true
            isStalled = !jobs.isEmpty && new.isEmpty && knownCount > 0
        }
        return new
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
