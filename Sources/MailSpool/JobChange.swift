// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// An operator's verb.
package enum JobChange: String, CaseIterable, Sendable {
    /// Tries again now, with all attempts and time to do it.
    case retry
    /// Ends it as `cancelled`; the history stays.
    case cancel
    /// Sets it aside.
    case hold
    /// Takes it up again, when it was to be sent.
    case release
    /// Forgets it, history and all.
    case purge

    /// States on disk in which it means anything.
    package func applies(to state: JobState) -> Bool {
        switch self {
        case .retry: state == .failed || state == .held || state == .scheduled || state == .ready
        case .cancel: !state.isFinal
        case .hold: state == .ready || state == .scheduled
        case .release: state == .held
        case .purge: true
        }
    }
}

/// A verb for some jobs, none of which is in a worker's hands.
package struct ChangeOrder: Sendable {
    package var change: JobChange
    package var ids: [JobID]
    package var at: WallTime
    /// One line of JSON for each job's history, with its newline.
    package var history: [UInt8]
    /// A job that is tried again has at least so long.
    package var expirySeconds: Double

    package init(
        _ change: JobChange, _ ids: [JobID], at: WallTime, history: [UInt8] = [],
        expirySeconds: Double = Double(Limits.expirySeconds)
    ) {
        self.change = change
        self.ids = ids
        self.at = at
        self.history = history
        self.expirySeconds = expirySeconds
    }
}

/// What became of one job by a `ChangeOrder`.
package struct ChangedJob: Equatable, Sendable {
    package var id: JobID
    package var was: JobState
    /// nil: it is gone.
    package var state: JobState?
    /// Set exactly where it is `scheduled`.
    package var dueAt: WallTime?
    package var group: JobGroup
    /// The submitted line, where it is there, not large, and may name a trace.
    package var line: [UInt8]?

    package init(
        id: JobID, was: JobState, state: JobState?, dueAt: WallTime? = nil, group: JobGroup, line: [UInt8]? = nil
    ) {
        self.line = line
        self.id = id
        self.was = was
        self.state = state
        self.dueAt = dueAt
        self.group = group
    }
}

/// What an order came to. Jobs that are not there, or to which the verb does not apply, stand in neither list but the
/// second, with their state on disk; nil where there is no such job.
package struct ChangeOutcome: Sendable {
    package var changed: [ChangedJob] = []
    package var unchanged: [(id: JobID, state: JobState?)] = []
    package var tally = Tally()

    package init() {}
}

/// A job as a change finds it and leaves it: the rules, without a disk.
struct ChangingJob: Equatable {
    var state: JobState
    var dueAt: WallTime?
    /// When it was to be sent, kept while it is held.
    var resumesAt: WallTime?
    var expiresAt: WallTime
    var attempts: Int
    var crashes: Int
    var fates: [Fate]?

    /// Nil where nothing is left of it.
    func changed(by order: ChangeOrder) -> ChangingJob? {
        var job = self
        switch order.change {
        case .purge: return nil
        case .cancel:
            job.state = .cancelled
            job.dueAt = nil
        case .hold:
            job.state = .held
            job.resumesAt = dueAt
            job.dueAt = nil
        case .release:
            // Due rather than ready: fresh jobs are found by their rising ids, and this one's was passed long ago.
            job.state = .scheduled
            job.dueAt = max(resumesAt ?? order.at, order.at)
            job.resumesAt = nil
            job.crashes = 0
        case .retry:
            job.state = .scheduled
            job.dueAt = order.at
            job.resumesAt = nil
            job.crashes = 0
            job.attempts = 0
            job.fates = fates?.map { $0 == .rejected ? .open : $0 }
            job.expiresAt = max(expiresAt, order.at + order.expirySeconds)
        }
        return job
    }
}
