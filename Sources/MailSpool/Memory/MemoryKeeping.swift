// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import Synchronization

/// Jobs kept in memory: the skeleton for a new keeping, and the double where the dispatcher is tested.
///
/// It breaks the spool's promise, as nothing outlives the process; within it, what one `Spool` left behind at its close
/// is what the next one opens. For a keeping of your own copy this file, and add a case to `Shelf.Kind` in
/// Tests/MailSpoolTests: the suite there knows what else is expected.
package final class MemoryKeeping: Keeping, Sendable {
    /// Shared by the writer's and the reader's thread.
    private let store = Mutex(Store())

    struct Store {
        var jobs: [JobID: Kept] = [:]
        var finished: [JobID: JobRecord] = [:]
        var settings: [String: String] = [:]
        var queues: [String: UInt16] = ["default": 0]
        var keys: [KeyScope: Key] = [:]
        var tally = Tally()
        var lastID = JobID(raw: 0)
    }

    struct Kept {
        var record: JobRecord
        var attemptsMax: Int
        var fates: [Fate]?
        var key: KeyScope?
        var resumesAt: WallTime?

        var group: JobGroup { JobGroup(queue: record.queue, uid: record.uid, kind: record.kind) }
    }

    struct KeyScope: Hashable {
        var uid: UInt32
        var kind: UInt8
        var name: [UInt8]
    }

    struct Key {
        var job: JobID
        var digest: [UInt8]
        var finishedAt: WallTime?
        var state = JobState.ready
    }

    package init() {}

    package var opened: OpenedSpool {
        store.withLock {
            OpenedSpool(tally: $0.tally, lastID: $0.lastID, node: 0, settings: $0.settings, queues: $0.queues)
        }
    }

    package var storedBytes: @Sendable () -> Int { { 0 } }

    @discardableResult
    package func commit(_ batch: Batch) -> Tally {
        store.withLock { store in
            store.tally = batch.tally
            for chunk in batch.chunks { chunk.forEachKept { store.append(chunk, $0, $1) } }
            for settlement in batch.settlements {
                let isThere = store.jobs[settlement.id] != nil
                if isThere { store.settle(settlement) } else { store.tally.moveBack(settlement) }
            }
            for setting in batch.settings { store.settings[setting.name] = setting.value }
            store.lastID = batch.lastID
            return store.tally
        }
    }

    package func find(_ key: [UInt8], uid: UInt32, kind: UInt8) -> KnownKey? {
        store.withLock { store in
            guard let key = store.keys[KeyScope(uid: uid, kind: kind, name: key)] else { return nil }
            let state = store.jobs[key.job]?.record.state ?? key.state
            return KnownKey(job: Repeat(id: key.job, state: state), digest: key.digest)
        }
    }

    package func change(_ order: ChangeOrder, tally: Tally) -> ChangeOutcome {
        store.withLock { store in
            var outcome = ChangeOutcome()
            outcome.tally = tally
            for id in order.ids { store.change(id, order, &outcome) }
            store.tally = outcome.tally
            return outcome
        }
    }

    package func take(_ jobs: [ImportedJob], tally: Tally, limits: SpoolLimits, lastID: JobID) -> ImportOutcome {
        store.withLock { store in
            var outcome = ImportOutcome(tally: tally)
            for job in jobs where outcome.admits(job, store.find(job), limits) { store.append(job) }
            store.tally = outcome.tally
            store.lastID = max(store.lastID, lastID)
            return outcome
        }
    }

    package func define(queues: [String]) -> [String: UInt16] {
        store.withLock { store in
            for name in queues where store.queues[name] == nil { store.queues[name] = UInt16(store.queues.count) }
            return store.queues
        }
    }

    package func recover(inHand: [JobID], at time: WallTime) -> Recovery {
        store.withLock { store in
            var recovery = Recovery()
            for id in inHand { store.recover(id, time, &recovery) }
            return recovery
        }
    }

    /// Jobs a call forgets at most.
    private static let pruneJobsMax = 2000

    package func prune(
        finishedBefore time: WallTime, jobsMax: Int, keysBefore keyTime: WallTime, tally: Tally
    ) -> Pruned {
        store.withLock { store in
            let oldest = store.finished.values.sorted { $0.id < $1.id }
            let over = oldest.prefix(max(0, tally.finished - jobsMax))
            let old = oldest.dropFirst(over.count).filter { ($0.finishedAt ?? time) < time }
            let gone = (over + old).prefix(Self.pruneJobsMax)
            for record in gone { store.finished[record.id] = nil }
            store.tally.finished -= gone.count
            store.keys = store.keys.filter { ($0.value.finishedAt ?? keyTime) >= keyTime }
            var pruned = Pruned()
            pruned.jobs = gone.count
            pruned.hasMore = gone.count == Self.pruneJobsMax
            pruned.hasKeys = store.keys.values.contains { $0.finishedAt != nil }
            return pruned
        }
    }

    package func reading() -> any Reading { MemoryReading(self) }

    package func close() {}

    func read<Value: Sendable>(_ body: (borrowing Store) -> Value) -> Value { store.withLock { body($0) } }
}

extension MemoryKeeping.Store {
    fileprivate mutating func append(_ chunk: Chunk, _ index: Int, _ id: JobID) {
        let job = chunk.submissions[index]
        let at = chunk.bytes.readerIndex + job.range.lowerBound
        let record = JobRecord(
            id: id, state: job.dueAt == nil ? .ready : .scheduled, kind: job.kind, priority: job.priority,
            uid: chunk.uid, queue: job.queue, attempts: 0, dueAt: job.dueAt, expiresAt: job.expiresAt, finishedAt: nil,
            body: chunk.bytes.getBytes(at: at, length: job.range.count) ?? [], history: [])
        let scope = job.key.map { MemoryKeeping.KeyScope(uid: chunk.uid, kind: job.kind, name: $0.name) }
        jobs[id] = MemoryKeeping.Kept(record: record, attemptsMax: job.attemptsMax, key: scope)
        if let scope, let key = job.key { keys[scope] = MemoryKeeping.Key(job: id, digest: key.digest) }
    }

    private mutating func append(_ report: ReportJob, of end: Settlement) {
        let record = JobRecord(
            id: report.id, state: .scheduled, kind: end.kind, priority: report.priority, uid: end.uid,
            queue: end.queue, attempts: 0, dueAt: report.dueAt, expiresAt: report.expiresAt, finishedAt: nil,
            body: report.line, history: end.reportHistory)
        jobs[report.id] = MemoryKeeping.Kept(record: record, attemptsMax: 0)
    }

    fileprivate func find(_ job: ImportedJob) -> ImportFinding {
        var found = ImportFinding()
        if let record = jobs[job.id]?.record ?? finished[job.id] {
            found.byID = (record.state, record.state.isFinal ? nil : record.body)
        }
        if let key = job.key, let known = keys[Self.scope(job, key)] {
            let state = jobs[known.job]?.record.state ?? known.state
            found.byKey = KnownKey(job: Repeat(id: known.job, state: state), digest: known.digest)
        }
        return found
    }

    private static func scope(_ job: ImportedJob, _ key: IdempotencyKey) -> MemoryKeeping.KeyScope {
        MemoryKeeping.KeyScope(uid: job.group.uid, kind: job.group.kind, name: key.name)
    }

    fileprivate mutating func append(_ job: ImportedJob) {
        let record = JobRecord(
            id: job.id, state: job.state, kind: job.group.kind, priority: job.priority, uid: job.group.uid,
            queue: job.group.queue, attempts: job.attempts, crashes: job.crashes, dueAt: job.dueAt,
            expiresAt: job.expiresAt, finishedAt: nil, body: job.body, history: job.history)
        let scope = job.key.map { Self.scope(job, $0) }
        jobs[job.id] = MemoryKeeping.Kept(
            record: record, attemptsMax: job.attemptsMax, fates: job.fates, key: scope, resumesAt: job.resumesAt)
        if let scope, let key = job.key { keys[scope] = MemoryKeeping.Key(job: job.id, digest: key.digest) }
    }

    fileprivate mutating func settle(_ end: Settlement) {
        if let report = end.report { append(report, of: end) }
        guard end.state.isFinal else {
            jobs[end.id]?.record.state = end.state
            jobs[end.id]?.record.dueAt = end.dueAt
            jobs[end.id]?.record.attempts = end.attempts
            jobs[end.id]?.record.crashes = 0
            jobs[end.id]?.record.history += end.history
            jobs[end.id]?.fates = end.fates
            jobs[end.id]?.resumesAt = nil
            return
        }
        finish(end.id, end.state, attempts: end.attempts, at: end.endedAt, history: end.history)
    }

    private mutating func finish(_ id: JobID, _ state: JobState, attempts: Int, at time: WallTime, history: [UInt8]) {
        guard let kept = jobs.removeValue(forKey: id) else { return }
        let record = kept.record
        finished[id] = JobRecord(
            id: id, state: state, kind: record.kind, priority: UInt8(Limits.priorityDefault), uid: record.uid,
            queue: record.queue, attempts: attempts, dueAt: nil, expiresAt: nil, finishedAt: time, body: [],
            history: record.history + history)
        finishKey(kept.key, state, at: time)
    }

    private mutating func finishKey(_ scope: MemoryKeeping.KeyScope?, _ state: JobState, at time: WallTime) {
        guard let scope else { return }
        keys[scope]?.finishedAt = time
        keys[scope]?.state = state
    }

    fileprivate mutating func change(_ id: JobID, _ order: ChangeOrder, _ outcome: inout ChangeOutcome) {
        guard let kept = jobs[id] else { return changeFinished(id, order, &outcome) }
        guard order.change.applies(to: kept.record.state) else {
            return outcome.unchanged.append((id, kept.record.state))
        }
        let job = ChangingJob(kept).changed(by: order)
        let bytes = kept.record.body.count
        outcome.tally.add(kept.record.state, jobs: -1, bytes: -bytes, in: kept.group)
        if let state = job?.state { outcome.tally.add(state, jobs: 1, bytes: bytes, in: kept.group) }
        outcome.changed.append(
            ChangedJob(id: id, was: kept.record.state, state: job?.state, dueAt: job?.dueAt, group: kept.group))
        if let job, !job.state.isFinal {
            jobs[id]?.take(job, history: order.history)
        } else if let job {
            finish(id, job.state, attempts: kept.record.attempts, at: order.at, history: order.history)
        } else {
            jobs[id] = nil
            finishKey(kept.key, kept.record.state, at: order.at)
        }
    }

    private mutating func changeFinished(_ id: JobID, _ order: ChangeOrder, _ outcome: inout ChangeOutcome) {
        guard let record = finished[id], order.change.applies(to: record.state) else {
            return outcome.unchanged.append((id, finished[id]?.state))
        }
        finished[id] = nil
        outcome.tally.finished -= 1
        let group = JobGroup(queue: record.queue, uid: record.uid, kind: record.kind)
        outcome.changed.append(ChangedJob(id: id, was: record.state, state: nil, group: group))
    }

    fileprivate mutating func recover(_ id: JobID, _ time: WallTime, _ recovery: inout Recovery) {
        guard let kept = jobs[id], kept.record.state == .ready || kept.record.state == .scheduled else { return }
        let was = kept.record.state
        let isHeld = kept.record.crashes + 1 >= Limits.crashesMax
        jobs[id]?.record.crashes += 1
        jobs[id]?.record.state = isHeld ? .held : .scheduled
        jobs[id]?.record.dueAt = isHeld ? nil : kept.record.dueAt ?? time
        jobs[id]?.record.history += Array("{\"at\":\(time.milliseconds),\"event\":\"crashed\"}\n".utf8)
        tally.add(was, jobs: -1, bytes: -kept.record.body.count, in: kept.group)
        tally.add(isHeld ? .held : .scheduled, jobs: 1, bytes: kept.record.body.count, in: kept.group)
        if isHeld { recovery.held.append(id) } else { recovery.again.append(id) }
    }
}

extension ChangingJob {
    fileprivate init(_ kept: MemoryKeeping.Kept) {
        self.init(
            state: kept.record.state, dueAt: kept.record.dueAt, resumesAt: kept.resumesAt,
            expiresAt: kept.record.expiresAt ?? kept.record.id.time, attempts: kept.record.attempts,
            crashes: kept.record.crashes, fates: kept.fates)
    }
}

extension MemoryKeeping.Kept {
    fileprivate mutating func take(_ job: ChangingJob, history: [UInt8]) {
        record.state = job.state
        record.dueAt = job.dueAt
        record.expiresAt = job.expiresAt
        record.attempts = job.attempts
        record.crashes = job.crashes
        record.history += history
        fates = job.fates
        resumesAt = job.resumesAt
    }
}
