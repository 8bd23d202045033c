// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Synchronization

/// Stands between a spool and its keeping, and lets a test look, wait or refuse before each commit.
final class TrickKeeping: Keeping {
    private let base: any Keeping
    private let before: @Sendable (Batch) throws(SpoolError) -> Void

    init(_ base: any Keeping, before: @escaping @Sendable (Batch) throws(SpoolError) -> Void) {
        self.base = base
        self.before = before
    }

    func commit(_ batch: Batch) throws(SpoolError) -> Tally {
        try before(batch)
        return try base.commit(batch)
    }

    var opened: OpenedSpool { base.opened }
    var storedBytes: @Sendable () -> Int { base.storedBytes }

    func recover(inHand: [JobID], at time: WallTime) throws(SpoolError) -> Recovery {
        try base.recover(inHand: inHand, at: time)
    }

    func find(_ key: [UInt8], uid: UInt32, kind: UInt8) throws(SpoolError) -> KnownKey? {
        try base.find(key, uid: uid, kind: kind)
    }

    func change(_ order: ChangeOrder, tally: Tally) throws(SpoolError) -> ChangeOutcome {
        try base.change(order, tally: tally)
    }

    func take(
        _ jobs: [ImportedJob], tally: Tally, limits: SpoolLimits, lastID: JobID
    ) throws(SpoolError) -> ImportOutcome {
        try base.take(jobs, tally: tally, limits: limits, lastID: lastID)
    }

    func define(queues: [String]) throws(SpoolError) -> [String: UInt16] { try base.define(queues: queues) }

    func prune(
        finishedBefore time: WallTime, jobsMax: Int, keysBefore keyTime: WallTime, tally: Tally
    ) throws(SpoolError) -> Pruned {
        try base.prune(finishedBefore: time, jobsMax: jobsMax, keysBefore: keyTime, tally: tally)
    }

    /// What the file system is said to have left; nil: what the keeping says.
    var free: (@Sendable () -> Int?)?
    /// Called in place of giving up the reserve.
    var release: (() -> Bool)?

    var freeBytes: @Sendable () -> Int? { free ?? base.freeBytes }
    func releaseReserve() -> Bool { release?() ?? base.releaseReserve() }
    func keepReserve(bytes: Int) {}
    func setAside(_ rows: [DamagedRow], at time: WallTime, tally: Tally) throws(SpoolError) -> SetAside {
        try base.setAside(rows, at: time, tally: tally)
    }
    func isSetAside(_ id: JobID) -> Bool { base.isSetAside(id) }
    var damagedJobs: Int { base.damagedJobs }
    func takeRecorded() -> [DamagedRow] { base.takeRecorded() }
    func wantRecount() throws(SpoolError) { try base.wantRecount() }
    func mark(corrupt message: String) { base.mark(corrupt: message) }
    func shrink(whole: Bool) throws(SpoolError) -> Bool { try base.shrink(whole: whole) }
    var checker: SpoolChecker? { base.checker }
    func reading() throws(SpoolError) -> any Reading { try base.reading() }
    func close() { base.close() }
}

/// Holds up the writer's thread while it is shut.
final class Gate: Sendable {
    private let arrivals = AsyncStream<Void>.makeStream()
    private let keys = Doorbell(0)
    private let isShut = Mutex(true)

    func pass() {
        guard isShut.withLock({ $0 }) else { return }
        arrivals.continuation.yield()
        // Bounded, so that a test that forgets to open fails instead of hanging.
        _ = keys.takeAll(leaving: 0, within: 60)
    }

    /// Waits until somebody stands before the gate.
    func arrival() async {
        for await _ in arrivals.stream { break }
    }

    func open() {
        isShut.withLock { $0 = false }
        keys.put { $0 += 1 }
    }
}

/// A disk that refuses at will.
final class MoodyDisk: Sendable {
    private let refusal = Mutex<(error: SpoolError, when: @Sendable (Int, Batch) -> Bool)>(
        (MoodyDisk.error, { _, _ in false }))
    private let commits = Mutex(0)

    static let error = SpoolError.unwritable(message: "the disk is in a mood")

    /// - Parameter when: given the commit's number, from 1, and what it would write.
    func refuse(with error: SpoolError = MoodyDisk.error, when: @escaping @Sendable (Int, Batch) -> Bool) {
        refusal.withLock { $0 = (error, when) }
    }

    func before(_ batch: Batch) throws(SpoolError) {
        let number = commits.withLock {
            $0 += 1
            return $0
        }
        let refusal = refusal.withLock { $0 }
        if refusal.when(number, batch) { throw refusal.error }
    }
}

/// Runs `body` on a thread of its own, so that it may block.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { done in
        do {
            _ = try WorkerThread(name: "test") { done.resume(returning: body()) }
        } catch {
            done.resume(throwing: error)
        }
    }
}

/// SplitMix64: the same numbers from the same seed, so that what failed fails again.
struct Dice: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}
