// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The end of one attempt as the spool keeps it.
package struct Settlement: Sendable {
    package var id: JobID
    /// How the job stood on disk while it was worked on (`ready` or `scheduled`).
    package var was: JobState
    /// What it becomes: `scheduled` (with `dueAt`), `failed`, `held`, or one of the final states.
    package var state: JobState
    package var dueAt: WallTime?
    package var endedAt: WallTime
    package var kind: UInt8
    package var uid: UInt32
    package var queue: UInt16
    /// An idempotency key leads to the job.
    package var isKeyed: Bool
    /// Attempts including this one.
    package var attempts: Int
    package var fates: [Fate]?
    /// One line of JSON for the job's history (`AttemptRecord`), with its newline.
    package var history: [UInt8]
    /// Length of the submitted line, for the tally.
    package var bytes: Int
    /// Tells the sender of a failure: kept by the same commit, or not at all.
    package var report: ReportJob?
    /// That of the job as it was claimed: if it is another by now, nothing is settled. 0 takes any.
    package var claim: Int64 = 0

    package init(
        id: JobID, was: JobState, state: JobState, dueAt: WallTime? = nil, endedAt: WallTime, kind: UInt8, uid: UInt32,
        queue: UInt16 = 0, isKeyed: Bool = false, attempts: Int, fates: [Fate]? = nil, history: [UInt8], bytes: Int
    ) {
        self.id = id
        self.was = was
        self.state = state
        self.dueAt = dueAt
        self.endedAt = endedAt
        self.kind = kind
        self.uid = uid
        self.queue = queue
        self.isKeyed = isKeyed
        self.attempts = attempts
        self.fates = fates
        self.history = history
        self.bytes = bytes
    }

    package var group: JobGroup { JobGroup(queue: queue, uid: uid, kind: kind) }
}

/// A job that is born of another's end: of its user, kind and queue.
package struct ReportJob: Equatable, Sendable {
    /// Given by the writer at the commit.
    package internal(set) var id = JobID(raw: 0)
    /// As if somebody had submitted it, without a newline.
    package var line: [UInt8]
    package var priority: UInt8
    /// When it is to be sent: the time at which the other job ended. It is scheduled for it rather than ready, so that
    /// it has a history from its beginning.
    package var dueAt: WallTime
    package var expiresAt: WallTime

    package init(line: [UInt8], priority: UInt8, dueAt: WallTime, expiresAt: WallTime) {
        self.line = line
        self.priority = priority
        self.dueAt = dueAt
        self.expiresAt = expiresAt
    }
}

/// A report that is on disk.
package struct ReportedJob: Equatable, Sendable {
    /// The job that failed.
    package var id: JobID
    package var state: JobState
    package var group: JobGroup
    package var report: JobID
    package var reportDueAt: WallTime
}

extension Settlement {
    /// Gives the report its id, and tells each of the two jobs' histories of the other.
    mutating func nameReport(_ id: JobID) {
        guard report != nil else { return }
        report?.id = id
        history += Array("{\"at\":\(endedAt.milliseconds),\"event\":\"reported\",\"report\":\"\(id)\"}\n".utf8)
    }

    /// With which the report's own history begins.
    var reportHistory: [UInt8] {
        Array("{\"at\":\(endedAt.milliseconds),\"event\":\"reports\",\"failed\":\"\(id)\"}\n".utf8)
    }

    var reported: ReportedJob? {
        report.map { ReportedJob(id: id, state: state, group: group, report: $0.id, reportDueAt: $0.dueAt) }
    }
}
