// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool

/// Jobs that operators are about to change: kept from the workers, whatever reads and commits still bring of them.
///
/// A job is let go of once every order for it has come to its end. For one that changed it that is when the change is
/// on disk and each read that was under way then, and may have seen the job as it was before, has been told.
struct Withdrawals {
    private struct Held {
        /// Two operators may mean the same job at once.
        var orders = 0
        /// Where it was at hand, or a read has brought it since.
        var job: WaitingJob?
        /// `job` is from before a change.
        var isOutOfDate = false
    }

    /// What is let go of.
    struct Freed {
        /// As they were.
        var unchanged: [WaitingJob] = []
        /// To be looked for on disk, where they are due if they are to be sent at all.
        var changed: [JobID] = []
    }

    private struct Leaving {
        var ids: [JobID]
        /// Reads that were under way.
        var lanes: Set<Int>
        var isDueRead: Bool

        var isOver: Bool { lanes.isEmpty && !isDueRead }
    }

    private var jobs: [JobID: Held] = [:]
    private var leaving: [Leaving] = []

    mutating func add(_ ids: [JobID], atHand: [WaitingJob]) {
        for id in ids { jobs[id, default: Held()].orders += 1 }
        for job in atHand { jobs[job.id]?.job = job }
    }

    /// True where the job must not be taken; it is remembered, in case that nothing becomes of the change.
    mutating func holds(_ job: WaitingJob) -> Bool {
        guard !jobs.isEmpty, jobs[job.id] != nil else { return false }
        jobs[job.id]?.job = job
        return true
    }

    func names(_ id: JobID) -> Bool { !jobs.isEmpty && jobs[id] != nil }

    /// Nothing became of the change.
    mutating func restore(_ ids: [JobID]) -> Freed { letGo(ids) }

    /// The change is on disk.
    /// - Parameter lanes: reads that are under way.
    mutating func changed(_ ids: [JobID], reading lanes: Set<Int>, isDueRead: Bool) -> Freed {
        for id in ids { jobs[id]?.isOutOfDate = true }
        let leave = Leaving(ids: ids, lanes: lanes, isDueRead: isDueRead)
        if leave.isOver { return letGo(ids) }
        leaving.append(leave)
        return Freed()
    }

    /// A read was told: that of a lane, or that for due jobs where `lane` is nil.
    mutating func readEnded(lane: Int?) -> Freed {
        guard !leaving.isEmpty else { return Freed() }
        for index in leaving.indices {
            if let lane { leaving[index].lanes.remove(lane) } else { leaving[index].isDueRead = false }
        }
        let over = leaving.filter(\.isOver).flatMap(\.ids)
        leaving.removeAll(where: \.isOver)
        return letGo(over)
    }

    private mutating func letGo(_ ids: [JobID]) -> Freed {
        var freed = Freed()
        for id in ids {
            guard var held = jobs[id] else { continue }
            held.orders -= 1
            guard held.orders == 0 else {
                jobs[id] = held
                continue
            }
            jobs[id] = nil
            if held.isOutOfDate { freed.changed.append(id) } else if let job = held.job { freed.unchanged.append(job) }
        }
        return freed
    }
}
