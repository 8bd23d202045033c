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
    private(set) var isReading = false
    /// The last read found nothing but known jobs, with more behind them: one must be settled to make way.
    private var isStalled = false
    /// The spool has, or may have, due jobs that no read has found.
    var more = false

    var mayBegin: Bool { !isReading && !isStalled }

    mutating func begin() {
        isReading = true
        more = false
    }

    /// Returns the jobs that are new.
    mutating func end(_ jobs: [WaitingJob], complete: Bool) -> [WaitingJob] {
        isReading = false
        defer { settledMeanwhile.removeAll() }
        let new = jobs.filter { !settledMeanwhile.contains($0.id) && loaded.insert($0.id).inserted }
        if !complete {
            more = true
            isStalled = !jobs.isEmpty && new.isEmpty && !loaded.isEmpty
        }
        return new
    }

    mutating func settled(_ id: JobID) {
        if isReading { settledMeanwhile.insert(id) }
        guard !loaded.isEmpty, loaded.remove(id) != nil else { return }
        isStalled = false
    }
}
