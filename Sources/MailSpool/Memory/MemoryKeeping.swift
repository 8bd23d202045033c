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

    fileprivate struct Store {
        var jobs: [JobID: Kept] = [:]
        var finished: [JobID: JobRecord] = [:]
        var settings: [String: String] = [:]
        var tally = Tally()
        var lastID = JobID(raw: 0)
    }

    fileprivate struct Kept {
        var record: JobRecord
        var attemptsMax: Int
        var fates: [Fate]?
    }

    package init() {}

    package var opened: OpenedSpool {
        store.withLock { OpenedSpool(tally: $0.tally, lastID: $0.lastID, node: 0, settings: $0.settings) }
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

    /// Jobs a call forgets at most.
    private static let pruneJobsMax = 2000

    package func prune(finishedBefore time: WallTime, jobsMax: Int, tally: Tally) -> Int {
        store.withLock { store in
            let oldest = store.finished.values.sorted { $0.id < $1.id }
            let over = oldest.prefix(max(0, tally.finished - jobsMax))
            let old = oldest.dropFirst(over.count).filter { ($0.finishedAt ?? time) < time }
            let pruned = (over + old).prefix(Self.pruneJobsMax)
            for record in pruned { store.finished[record.id] = nil }
            store.tally.finished -= pruned.count
            return pruned.count
        }
    }

    package func reading() -> any Reading { MemoryReading(self) }

    package func close() {}

    fileprivate func read<Value: Sendable>(_ body: (borrowing Store) -> Value) -> Value { store.withLock { body($0) } }
}

extension MemoryKeeping.Store {
    fileprivate mutating func append(_ chunk: Chunk, _ index: Int, _ id: JobID) {
        let job = chunk.submissions[index]
        let at = chunk.bytes.readerIndex + job.range.lowerBound
        let record = JobRecord(
            id: id, state: job.dueAt == nil ? .ready : .scheduled, kind: job.kind, priority: job.priority,
            uid: chunk.uid, attempts: 0, dueAt: job.dueAt, expiresAt: job.expiresAt, finishedAt: nil,
            body: chunk.bytes.getBytes(at: at, length: job.range.count) ?? [], history: [])
        jobs[id] = MemoryKeeping.Kept(record: record, attemptsMax: job.attemptsMax)
    }

    fileprivate mutating func settle(_ end: Settlement) {
        guard end.state.isFinal else {
            jobs[end.id]?.record.state = end.state
            jobs[end.id]?.record.dueAt = end.dueAt
            jobs[end.id]?.record.attempts = end.attempts
            jobs[end.id]?.record.history += end.history
            jobs[end.id]?.fates = end.fates
            return
        }
        let before = jobs.removeValue(forKey: end.id)?.record.history ?? []
        finished[end.id] = JobRecord(
            id: end.id, state: end.state, kind: end.kind, priority: UInt8(Limits.priorityDefault), uid: end.uid,
            attempts: end.attempts, dueAt: nil, expiresAt: nil, finishedAt: end.endedAt, body: [],
            history: before + end.history)
    }
}

/// Questions to a `MemoryKeeping`: each looks at all jobs, which is fine for as many as a test has.
private final class MemoryReading: Reading {
    private let keeping: MemoryKeeping

    init(_ keeping: MemoryKeeping) { self.keeping = keeping }

    func ready(priority: UInt8, after: JobID, limit: Int, bytesMax: Int) -> [WaitingJob] {
        let jobs = jobs { $0.state == .ready && $0.priority == priority && $0.id > after }
        return Self.waiting(jobs.sorted { $0.record.id < $1.record.id }, limit, bytesMax)
    }

    func due(at time: WallTime, limit: Int, bytesMax: Int) -> [WaitingJob] {
        let jobs = jobs { $0.state == .scheduled && ($0.dueAt ?? time) <= time }
        return Self.waiting(jobs.sorted { Self.order($0.record) < Self.order($1.record) }, limit, bytesMax)
    }

    func dueCount(at time: WallTime, limit: Int) -> Int {
        min(limit, jobs { $0.state == .scheduled && ($0.dueAt ?? time) <= time }.count)
    }

    func nextDue(after time: WallTime) -> WallTime? {
        jobs { $0.state == .scheduled && ($0.dueAt ?? time) > time }.compactMap(\.record.dueAt).min()
    }

    func list(state: JobState?, at time: WallTime, after: JobID, limit: Int) -> [JobRecord] {
        let all = keeping.read { $0.jobs.values.map(\.record) + $0.finished.values }
        let records = all.filter { record in
            let isDue = record.state == .scheduled && (record.dueAt ?? time) <= time
            let stands = isDue ? JobState.ready : record.state
            return record.id > after && (state == nil ? !record.state.isFinal : stands == state)
        }
        var bytes = 0
        return records.sorted { $0.id < $1.id }.prefix(limit).prefix { record in
            defer { bytes += record.body.count }
            return bytes < Limits.listBytesMax
        }
    }

    func show(_ id: JobID) -> JobRecord? {
        keeping.read { $0.jobs[id]?.record ?? $0.finished[id] }
    }

    func close() {}

    private func jobs(where matches: (JobRecord) -> Bool) -> [MemoryKeeping.Kept] {
        keeping.read { store in store.jobs.values.filter { matches($0.record) } }
    }

    private static func order(_ record: JobRecord) -> (Int64, Int64) {
        (record.dueAt?.milliseconds ?? 0, record.id.raw)
    }

    private static func waiting(_ jobs: [MemoryKeeping.Kept], _ limit: Int, _ bytesMax: Int) -> [WaitingJob] {
        var bytes = 0
        var result: [WaitingJob] = []
        for job in jobs.prefix(limit) where result.isEmpty || bytes < bytesMax {
            bytes += job.record.body.count
            result.append(WaitingJob(job))
        }
        return result
    }
}

extension WaitingJob {
    fileprivate init(_ job: MemoryKeeping.Kept) {
        let record = job.record
        self.init(
            id: record.id, state: record.state, kind: record.kind, priority: record.priority, uid: record.uid,
            attempts: record.attempts, attemptsMax: job.attemptsMax, expiresAt: record.expiresAt ?? record.id.time,
            readyAt: record.dueAt ?? record.id.time, fates: job.fates, body: ByteBuffer(bytes: record.body))
    }
}
