// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// All that one commit writes.
package struct Batch {
    /// Chunks in the order of their jobs' ids.
    package var chunks: [Chunk] = []
    package var settlements: [Settlement] = []
    /// Small facts that survive a restart (worker count, pause); nil removes.
    package var settings: [(name: String, value: String?)] = []
    /// The tally as it is after this batch.
    package var tally = Tally()
    /// The highest id given so far.
    package var lastID = JobID(raw: 0)
    /// Groups whose count differs from what is on disk.
    package var touched: Set<JobGroup> = []

    package init() {}
}

/// One way to keep jobs: what `Spool` stands on. Tests/MailSpoolTests holds the suite that every keeping must pass.
///
/// The writing side is used by one thread alone. Either all of a batch is durable when `commit` returns, or none of it
/// has happened.
package protocol Keeping: AnyObject {
    /// What was found at the start.
    var opened: OpenedSpool { get }
    /// Before a spool stands on it: notes that the process before this one died with these jobs in its workers' hands.
    /// Whoever has done so `Limits.crashesMax` times is held.
    func recover(inHand: [JobID], at time: WallTime) throws(SpoolError) -> Recovery
    /// Bytes it takes on disk; may be asked on any thread.
    var storedBytes: @Sendable () -> Int { get }
    /// A settlement of a job that is not there (it was settled before) changes nothing, and must not keep the rest of
    /// the batch from the disk.
    /// - Returns: the tally as it was written: the batch's, without such settlements.
    @discardableResult
    func commit(_ batch: Batch) throws(SpoolError) -> Tally
    /// The job that a key of this user and kind leads to, with the digest of its submission.
    func find(_ key: [UInt8], uid: UInt32, kind: UInt8) throws(SpoolError) -> KnownKey?
    /// A verb of an operator, in a transaction of its own; at most `Limits.changeJobsMax` jobs.
    /// - Parameter tally: as it is before.
    func change(_ order: ChangeOrder, tally: Tally) throws(SpoolError) -> ChangeOutcome
    /// Jobs of another spool, in a transaction of its own; at most `Limits.changeJobsMax`.
    /// - Parameters:
    ///   - tally: as it is before.
    ///   - lastID: no id up to this one is given to a new job from now on.
    func take(
        _ jobs: [ImportedJob], tally: Tally, limits: SpoolLimits, lastID: JobID
    ) throws(SpoolError) -> ImportOutcome
    /// Numbers for queues by name; a number outlives the configuration that named it. 0 is `default`.
    func define(queues: [String]) throws(SpoolError) -> [String: UInt16]
    /// Forgets finished jobs that ended before `time`, the oldest of those above `jobsMax`, and keys of jobs that ended
    /// before `keyTime`; a bounded number each.
    func prune(
        finishedBefore time: WallTime, jobsMax: Int, keysBefore keyTime: WallTime, tally: Tally
    ) throws(SpoolError) -> Pruned
    /// A reading side of its own, for another thread.
    func reading() throws(SpoolError) -> any Reading
    /// Puts damaged rows on record and holds their jobs, in a transaction of its own. Those that are gone, or whole at
    /// a second look, are left out.
    func setAside(_ rows: [DamagedRow], at time: WallTime, tally: Tally) throws(SpoolError) -> SetAside
    /// The job stands on record as damaged, and counts as held.
    func isSetAside(_ id: JobID) -> Bool
    var damagedJobs: Int { get }
    /// What was put on record since the last call, whichever call it was that came upon it.
    func takeRecorded() -> [DamagedRow]
    /// The next start is to count all rows.
    func wantRecount() throws(SpoolError)
    /// The file is damaged beyond single rows: the next start is to refuse it.
    func mark(corrupt message: String)
    /// Bytes that the file system has left for us, nil where nobody knows; may be asked on any thread.
    var freeBytes: @Sendable () -> Int? { get }
    /// Gives some disk back that is not needed; returns whether there is more to do.
    /// - Parameter whole: nothing is kept for the next burst either.
    func shrink(whole: Bool) throws(SpoolError) -> Bool
    /// Puts room by for the ends of jobs, where there is enough of it.
    func keepReserve(bytes: Int)
    /// Gives up that room; false where there was none.
    func releaseReserve() -> Bool
    /// At the start, where there is plenty of room: takes at once what the commits will take in any case.
    func keepLogRoom()
    /// Looks at everything that is kept, over a connection of its own.
    var checker: SpoolChecker? { get }
    /// This node among those that share the keeping; nil where it has it for itself.
    var fleet: FleetMember? { get }
    /// The tally with what other nodes have done since.
    /// - Parameter tally: as this node knows it.
    func current(_ tally: Tally) throws(SpoolError) -> Tally
    func close()
}

/// A keeping that one daemon has for itself.
extension Keeping {
    package var fleet: FleetMember? { nil }
    package func current(_ tally: Tally) throws(SpoolError) -> Tally { tally }
}

/// A keeping that has no file cannot be damaged and needs no room.
extension Keeping {
    package func setAside(_ rows: [DamagedRow], at time: WallTime, tally: Tally) throws(SpoolError) -> SetAside {
        SetAside(tally: tally)
    }

    package func isSetAside(_ id: JobID) -> Bool { false }
    package var damagedJobs: Int { 0 }
    package func takeRecorded() -> [DamagedRow] { [] }
    package func wantRecount() throws(SpoolError) {}
    package func mark(corrupt message: String) {}
    package var freeBytes: @Sendable () -> Int? { { nil } }
    package func shrink(whole: Bool) throws(SpoolError) -> Bool { false }
    package func keepReserve(bytes: Int) {}
    package func keepLogRoom() {}
    package func releaseReserve() -> Bool { false }
    package var checker: SpoolChecker? { nil }
}

/// Bringing an older spool to the present format.
package enum SpoolUpgrade {
    /// The step it is at, from 0, and how many there are. Called every few milliseconds.
    package typealias Progress = (_ step: Int, _ steps: Int) -> Void
}

package struct OpenedSpool: Sendable {
    package var tally: Tally
    package var lastID: JobID
    /// 0–1023, drawn when the spool was made: the low bits of its ids.
    package var node: Int64
    package var settings: [String: String]
    /// Numbers of all queues that ever were, by name.
    package var queues: [String: UInt16]

    package init(tally: Tally, lastID: JobID, node: Int64, settings: [String: String], queues: [String: UInt16]) {
        self.tally = tally
        self.lastID = lastID
        self.node = node
        self.settings = settings
        self.queues = queues
    }
}

/// What `Keeping.recover` made of the jobs that a dead process had in hand.
package struct Recovery: Equatable, Sendable {
    /// They are tried again.
    package var again: [JobID] = []
    /// Their attempts ended too many daemons.
    package var held: [JobID] = []

    package init() {}
}

/// What an idempotency key leads to.
package struct KnownKey: Equatable, Sendable {
    package var job: Repeat
    package var digest: [UInt8]

    package init(job: Repeat, digest: [UInt8]) {
        self.job = job
        self.digest = digest
    }
}

/// What `Keeping.prune` forgot.
package struct Pruned: Equatable, Sendable {
    package var jobs = 0
    /// There are keys of jobs that have ended.
    package var hasKeys = false
    /// It stopped at its bound.
    package var hasMore = false

    package init() {}
}

/// Scheduled jobs whose time has come.
package struct DueJobs: Sendable {
    package var jobs: [WaitingJob] = []
    /// Lanes of which there are, or may be, more.
    package var incomplete: Set<Lane> = []

    package init() {}
}

/// The asking side of a keeping; used by one thread alone, and never in the writer's way.
package protocol Reading: AnyObject {
    /// Ready jobs of one lane, large ones without their line, with an id above `after`, oldest first: at most `limit`,
    /// no more once their bodies reach `bytesMax` (but at least one).
    func ready(_ lane: Lane, after: JobID, limit: Int, bytesMax: Int) throws(SpoolError) -> [WaitingJob]
    /// Lanes in which ready jobs may wait.
    func readyLanes() throws(SpoolError) -> [Lane]
    /// Scheduled jobs whose time has come, the longest overdue first. Of each lane at most `limit`, and no more once
    /// their bodies reach its share of `bytesMax` (but at least one); of the lanes in `skipping` none.
    func due(at time: WallTime, limit: Int, bytesMax: Int, skipping: Set<Lane>) throws(SpoolError) -> DueJobs
    /// The line of a job that is not finished; nil where there is none.
    func body(_ id: JobID) throws(SpoolError) -> ByteBuffer?
    /// How many scheduled jobs have their time come; counts no further than `limit`.
    func dueCount(at time: WallTime, limit: Int) throws(SpoolError) -> Int
    /// When the first scheduled job after `time` is due.
    func nextDue(after time: WallTime) throws(SpoolError) -> WallTime?
    /// Jobs with an id above `after` that `filter` takes at `time`, oldest first: at most `limit`, and no more once
    /// their bodies reach `Limits.listBytesMax` (but at least one) or `Limits.listLooksMax` rows were looked at.
    /// - Parameter whole: with body and history.
    func list(
        _ filter: JobFilter, at time: WallTime, after: JobID, limit: Int, whole: Bool
    ) throws(SpoolError) -> JobPage
    /// One job, finished ones included, with its idempotency key.
    func show(_ id: JobID) throws(SpoolError) -> JobRecord?
    /// What was come upon since the last call; asked after every question.
    func takeDiscoveries() -> Discoveries
    /// Takes jobs whose time has come for this node; only where `Keeping.fleet` is there.
    func claim(_ wish: ClaimWish) throws(SpoolError) -> ClaimedJobs
    /// Gives claimed jobs back that were not begun.
    func release(_ jobs: [WaitingJob]) throws(SpoolError)
    /// All nodes that share the keeping; nil where it is not shared.
    func fleet() throws(SpoolError) -> FleetReport?
    func close()
}

extension Reading {
    package func takeDiscoveries() -> Discoveries { Discoveries() }
    package func claim(_ wish: ClaimWish) throws(SpoolError) -> ClaimedJobs { ClaimedJobs(session: 0) }
    package func release(_ jobs: [WaitingJob]) throws(SpoolError) {}
    package func fleet() throws(SpoolError) -> FleetReport? { nil }

    package func body(_ id: JobID) throws(SpoolError) -> ByteBuffer? {
        try show(id).flatMap { $0.state.isFinal ? nil : ByteBuffer(bytes: $0.body) }
    }

    /// By the state alone, over as many pages as it takes; by the state on disk where no time is given.
    package func list(
        state: JobState?, at time: WallTime = WallTime(milliseconds: 0), after: JobID, limit: Int
    ) throws(SpoolError) -> [JobRecord] {
        let filter = JobFilter(states: state.map { [$0] } ?? [])
        var records: [JobRecord] = []
        var next: JobID? = after
        while let after = next, records.count < limit {
            let page = try list(filter, at: time, after: after, limit: limit - records.count, whole: true)
            records += page.records
            next = page.next
        }
        return records
    }
}

/// A job as `list` and `show` need it.
package struct JobRecord: Sendable {
    package var id: JobID
    package var state: JobState
    package var kind: UInt8
    package var priority: UInt8
    package var uid: UInt32
    package var queue: UInt16
    package var attempts: Int
    /// How often the daemon died with it in hand, since it was last settled.
    package var crashes: Int
    package var dueAt: WallTime?
    package var expiresAt: WallTime?
    package var finishedAt: WallTime?
    /// Zero where only `expiresAt` ends the attempts.
    package var attemptsMax = 0
    /// One byte a recipient, nil while all are open.
    package var fates: [Fate]?
    /// When it was to be sent, kept while it is held.
    package var resumesAt: WallTime?
    /// The idempotency key that leads to it; only `show` tells it.
    package var key: [UInt8]?
    /// The submitted line; empty once the job is finished.
    package var body: [UInt8]
    /// `HistoryRecord`s, one a line.
    package var history: [UInt8]
    /// Why it can never be worked on; nil for a whole row.
    package var damage: String?

    package init(
        id: JobID, state: JobState, kind: UInt8, priority: UInt8, uid: UInt32, queue: UInt16 = 0, attempts: Int,
        crashes: Int = 0, dueAt: WallTime?, expiresAt: WallTime?, finishedAt: WallTime?, body: [UInt8], history: [UInt8]
    ) {
        self.id = id
        self.state = state
        self.kind = kind
        self.priority = priority
        self.uid = uid
        self.queue = queue
        self.attempts = attempts
        self.crashes = crashes
        self.dueAt = dueAt
        self.expiresAt = expiresAt
        self.finishedAt = finishedAt
        self.body = body
        self.history = history
    }
}
