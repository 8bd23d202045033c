// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Dispatch
import MailJob
import MailSpool
import NIOCore
import Synchronization
import TestSupport

/// The keeping in memory, with faults and delays that a test plays.
final class StagedKeeping: Keeping, @unchecked Sendable {
    struct Stage: Sendable {
        var commitsFail = false
        var readsFail = false
        var bodiesFail = false
        /// The next read for due jobs waits, after its look, until `letGo`.
        var holdsDue = false
    }

    private let inner: MemoryKeeping
    private let stage = Mutex(Stage())
    private let gate = DispatchSemaphore(value: 0)
    /// Reads that have had their look and are held.
    let held = Watched(0)
    /// Reads that failed.
    let failedReads = Watched(0)
    /// The most jobs that one answer brought.
    let longestAnswer = Watched(0)

    init(_ inner: MemoryKeeping = MemoryKeeping()) { self.inner = inner }

    func play(_ body: @Sendable (inout Stage) -> Void) { stage.withLock { body(&$0) } }
    func letGo() { gate.signal() }

    var opened: OpenedSpool { inner.opened }
    var storedBytes: @Sendable () -> Int { inner.storedBytes }

    func commit(_ batch: Batch) throws(SpoolError) -> Tally {
        if stage.withLock({ $0.commitsFail }) { throw .unwritable(message: "as the test wants it") }
        return inner.commit(batch)
    }

    func recover(inHand: [JobID], at time: WallTime) -> Recovery { inner.recover(inHand: inHand, at: time) }
    func find(_ key: [UInt8], uid: UInt32, kind: UInt8) -> KnownKey? { inner.find(key, uid: uid, kind: kind) }
    func define(queues: [String]) -> [String: UInt16] { inner.define(queues: queues) }

    func take(_ jobs: [ImportedJob], tally: Tally, limits: SpoolLimits, lastID: JobID) -> ImportOutcome {
        inner.take(jobs, tally: tally, limits: limits, lastID: lastID)
    }

    func change(_ order: ChangeOrder, tally: Tally) throws(SpoolError) -> ChangeOutcome {
        if stage.withLock({ $0.commitsFail }) { throw .unwritable(message: "as the test wants it") }
        return inner.change(order, tally: tally)
    }

    func prune(
        finishedBefore time: WallTime, jobsMax: Int, keysBefore keyTime: WallTime, tally: Tally
    ) throws(SpoolError) -> Pruned {
        inner.prune(finishedBefore: time, jobsMax: jobsMax, keysBefore: keyTime, tally: tally)
    }

    func reading() throws(SpoolError) -> any Reading { StagedReading(inner.reading(), self) }
    func close() { inner.close() }

    fileprivate func mayFail() throws(SpoolError) {
        guard stage.withLock({ $0.readsFail }) else { return }
        failedReads.change { $0 += 1 }
        throw .failed(message: "as the test wants it")
    }

    fileprivate func mayFailBody() throws(SpoolError) {
        if stage.withLock({ $0.bodiesFail }) { throw .failed(message: "as the test wants it") }
    }

    fileprivate func mayHold() {
        let holds = stage.withLock { stage in
            defer { stage.holdsDue = false }
            return stage.holdsDue
        }
        guard holds else { return }
        held.change { $0 += 1 }
        gate.wait()
    }
}

private final class StagedReading: Reading {
    private let inner: any Reading
    private let keeping: StagedKeeping

    init(_ inner: any Reading, _ keeping: StagedKeeping) {
        self.inner = inner
        self.keeping = keeping
    }

    func readyLanes() throws(SpoolError) -> [Lane] { try inner.readyLanes() }

    func ready(_ lane: Lane, after: JobID, limit: Int, bytesMax: Int) throws(SpoolError) -> [WaitingJob] {
        try keeping.mayFail()
        let jobs = try inner.ready(lane, after: after, limit: limit, bytesMax: bytesMax)
        keeping.longestAnswer.change { [count = jobs.count] in $0 = max($0, count) }
        return jobs
    }

    func due(
        at time: WallTime, limit: Int, bytesMax: Int, skipping: Set<Lane>
    ) throws(SpoolError) -> DueJobs {
        let jobs = try inner.due(at: time, limit: limit, bytesMax: bytesMax, skipping: skipping)
        keeping.longestAnswer.change { [count = jobs.jobs.count] in $0 = max($0, count) }
        keeping.mayHold()
        return jobs
    }

    func dueCount(at time: WallTime, limit: Int) throws(SpoolError) -> Int {
        try inner.dueCount(at: time, limit: limit)
    }
    func nextDue(after time: WallTime) throws(SpoolError) -> WallTime? { try inner.nextDue(after: time) }

    func list(
        _ filter: JobFilter, at time: WallTime, after: JobID, limit: Int, whole: Bool
    ) throws(SpoolError) -> JobPage {
        try inner.list(filter, at: time, after: after, limit: limit, whole: whole)
    }

    func show(_ id: JobID) throws(SpoolError) -> JobRecord? { try inner.show(id) }

    func body(_ id: JobID) throws(SpoolError) -> ByteBuffer? {
        try keeping.mayFailBody()
        return try inner.body(id)
    }

    func close() { inner.close() }
}
