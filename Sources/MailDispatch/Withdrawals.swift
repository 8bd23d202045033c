// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool

/// Jobs that an operator is about to change: kept from the workers, whatever reads and commits still bring of them.
///
/// A job is let go of once its change is on disk and every read that was under way then, and may have seen it as it was
/// before, has been told.
struct Withdrawals {
    /// With the job where it was at hand, or a read brought it since.
    private var jobs: [JobID: WaitingJob?] = [:]
    private var leaving: [Leaving] = []

    private struct Leaving {
        var ids: [JobID]
        /// Reads that were under way.
        var lanes: Set<Int>
        var isDueRead: Bool
    }

    var isEmpty: Bool { jobs.isEmpty }

    mutating func add(_ ids: [JobID], atHand: [WaitingJob]) {
        for id in ids { jobs.updateValue(nil, forKey: id) }
        for job in atHand { jobs.updateValue(job, forKey: job.id) }
    }

    /// True where the job must not be taken; it is remembered, in case that nothing becomes of the change.
    mutating func holds(_ job: WaitingJob) -> Bool {
        guard !jobs.isEmpty, jobs[job.id] != nil else { return false }
        jobs.updateValue(job, forKey: job.id)
        return true
    }

    func contains(_ id: JobID) -> Bool { !jobs.isEmpty && jobs[id] != nil }

    /// Nothing became of the change: returns what must be given back.
    mutating func restore(_ ids: [JobID]) -> [WaitingJob] { ids.compactMap { jobs.removeValue(forKey: $0) ?? nil } }

    /// The change is on disk. Returns whether all of them are let go of at once.
    mutating func changed(_ ids: [JobID], reading lanes: Set<Int>, isDueRead: Bool) -> Bool {
        let known = ids.filter { contains($0) }
        guard !lanes.isEmpty || isDueRead else {
            for id in known { jobs[id] = nil }
            return true
        }
        leaving.append(Leaving(ids: known, lanes: lanes, isDueRead: isDueRead))
        return false
    }

    /// A read was told: that of a lane, or that for due jobs where `lane` is nil. Returns whether any job was let go.
    mutating func readEnded(lane: Int?) -> Bool {
        guard !leaving.isEmpty else { return false }
        for index in leaving.indices {
            if let lane { leaving[index].lanes.remove(lane) } else { leaving[index].isDueRead = false }
        }
        let gone = leaving.filter { $0.lanes.isEmpty && !$0.isDueRead }
        leaving.removeAll { $0.lanes.isEmpty && !$0.isDueRead }
        for id in gone.flatMap(\.ids) { jobs[id] = nil }
        return !gone.isEmpty
    }
}
