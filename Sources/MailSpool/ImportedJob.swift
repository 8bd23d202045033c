// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// A job of another spool that is to go on in this one, under the id it has.
package struct ImportedJob: Sendable {
    package var id: JobID
    package var group: JobGroup
    package var priority: UInt8
    /// `scheduled`, `held` or `failed`. A ready one comes as scheduled and due: fresh jobs are found by their rising
    /// ids, and this one's may be of long ago.
    package var state: JobState
    /// Set exactly where it is scheduled.
    package var dueAt: WallTime?
    /// When it is to be sent, of one that is held.
    package var resumesAt: WallTime?
    package var expiresAt: WallTime
    package var attempts = 0
    package var attemptsMax = 0
    package var crashes = 0
    package var key: IdempotencyKey?
    /// One a recipient; nil while all are open.
    package var fates: [Fate]?
    package var history: [UInt8] = []
    /// The submitted line.
    package var body: [UInt8]

    package init(
        id: JobID, group: JobGroup, priority: UInt8 = UInt8(Limits.priorityDefault), state: JobState,
        dueAt: WallTime? = nil, expiresAt: WallTime, body: [UInt8]
    ) {
        self.id = id
        self.group = group
        self.priority = priority
        self.state = state
        self.dueAt = dueAt
        self.expiresAt = expiresAt
        self.body = body
    }
}

/// What became of one job that was to be imported.
package enum ImportVerdict: Equatable, Sendable {
    case imported
    /// It is here already, under this id: it was imported before, or submitted here with the same idempotency key.
    case known(JobID, JobState)
    case refused(String)
}

package struct ImportOutcome: Sendable {
    /// In the order of the jobs.
    package var verdicts: [ImportVerdict] = []
    package var changed: [ChangedJob] = []
    package var tally: Tally

    package init(tally: Tally) { self.tally = tally }
}

/// What is known in a spool of a job that is to be imported.
struct ImportFinding {
    /// Where the id is taken: by a job that stands so, with this line (nil: it has ended, and its line is gone).
    var byID: (state: JobState, body: [UInt8]?)?
    var byKey: KnownKey?
}

extension ImportOutcome {
    /// The rules, without a disk: whether `job` may be taken. Counts it in where it may.
    mutating func admits(_ job: ImportedJob, _ found: ImportFinding, _ limits: SpoolLimits) -> Bool {
        let verdict = Self.verdict(job, found, tally, limits)
        verdicts.append(verdict)
        guard verdict == .imported else { return false }
        tally.add(job.state, jobs: 1, bytes: job.body.count, in: job.group)
        changed.append(ChangedJob(id: job.id, was: job.state, state: job.state, dueAt: job.dueAt, group: job.group))
        return true
    }

    private static func verdict(
        _ job: ImportedJob, _ found: ImportFinding, _ tally: Tally, _ limits: SpoolLimits
    ) -> ImportVerdict {
        if let (state, body) = found.byID {
            guard let body, body != job.body else { return .known(job.id, state) }
            return .refused("id: another job has it here")
        }
        if let known = found.byKey, let key = job.key {
            guard known.digest != key.digest else { return .known(known.job.id, known.job.state) }
            return .refused("idempotency_key: was used for another submission, which became job \(known.job.id)")
        }
        if tally.jobs >= limits.jobsMax { return .refused("the spool holds \(tally.jobs) jobs, its limit") }
        if tally.bytes + job.body.count > limits.bytesMax {
            return .refused("the spool holds \(tally.bytes) of at most \(limits.bytesMax) bytes")
        }
        return .imported
    }
}
