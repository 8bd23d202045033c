// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// One thing that happened, as whoever watches is told of it: at once, and up to a commit before it is on disk.
package struct WatchedEvent: Sendable {
    package enum Name: String, CaseIterable, Sendable {
        // Of a job's life.
        case accepted, attempted, deferred, delivered, failed, expired, cancelled, held, released, retried, purged
        case crashed, reported
        case putOff = "put_off"
        // Of the daemon.
        case scaled, paused, resumed, draining, reloaded
        case drainEnded = "drain_ended"
        case breakerOpened = "breaker_opened"
        case breakerProbes = "breaker_probes"
        case breakerClosed = "breaker_closed"
    }

    package var at: WallTime
    package var name: Name
    /// nil for what happens to the daemon.
    package var job: JobID?
    /// Index into the kinds.
    package var kind: Int?
    /// The queue's number in the spool.
    package var queue: UInt16?
    /// Where the job stands from now on.
    package var state: JobState?
    /// Those that have ended.
    package var attempts: Int?
    package var relay: String?
    /// Why a job waits, or a breaker opened; a queue's name, where one was paused.
    package var detail: String?
    package var verdicts: [Trial] = []
    /// The operator's user.
    package var by: UInt32?
    /// The job that tells the sender of a failure.
    package var report: JobID?
    package var workers: Int?

    init(_ name: Name, at: WallTime) {
        self.name = name
        self.at = at
    }

    /// What it takes of a watcher's room.
    var weight: Int { 1 + verdicts.count }
}

/// What a watcher wants to hear of; nil takes anything.
package struct WatchFilter: Sendable {
    package var jobs: Set<JobID>?
    /// The queue's number in the spool.
    package var queue: UInt16?
    /// Where the job stands after the event.
    package var states: Set<JobState>?

    package init(jobs: Set<JobID>? = nil, queue: UInt16? = nil, states: Set<JobState>? = nil) {
        self.jobs = jobs
        self.queue = queue
        self.states = states
    }

    func takes(_ event: WatchedEvent) -> Bool {
        if let queue, event.queue != queue { return false }
        guard let job = event.job else { return jobs == nil && states == nil }
        if let jobs, !jobs.contains(job) { return false }
        guard let states else { return true }
        return event.state.map { states.contains($0) } ?? false
    }
}
