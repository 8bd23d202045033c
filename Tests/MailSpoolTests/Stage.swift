// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import NIOCore

/// A spool on a shelf, with its clock and its listeners.
final class Stage {
    let shelf: Shelf
    let clock = TestClock()
    let probe = Probe()
    let limits: SpoolLimits
    private(set) var spool: Spool
    /// What stands between the spool and the keeping.
    private let wrap: Wrap

    typealias Wrap = (any Keeping) -> any Keeping

    convenience init(
        _ kind: Shelf.Kind, limits: SpoolLimits = SpoolLimits(), wrap: @escaping Wrap = { $0 }
    ) throws {
        try self.init(Shelf(kind), limits: limits, wrap: wrap)
    }

    init(_ shelf: Shelf, limits: SpoolLimits = SpoolLimits(), wrap: @escaping Wrap = { $0 }) throws {
        self.shelf = shelf
        self.limits = limits
        self.wrap = wrap
        spool = try Spool(wrap(shelf.open()), clock: clock, limits: limits, observer: probe, listener: probe)
    }

    deinit { spool.close() }

    /// - Parameter recover: what is done before a spool stands on the keeping.
    func reopen(_ recover: (any Keeping) throws(SpoolError) -> Void = { _ in }) throws {
        spool.close()
        let keeping = wrap(try shelf.open())
        try recover(keeping)
        spool = try Spool(keeping, clock: clock, limits: limits, observer: probe, listener: probe)
    }

    /// An operator's verb.
    func change(_ order: ChangeOrder) async throws -> ChangeOutcome {
        let spool = spool
        let result = await withCheckedContinuation {
            (done: CheckedContinuation<Result<ChangeOutcome, SpoolError>, Never>) in
            spool.change(order) { done.resume(returning: $0) }
        }
        return try result.get()
    }

    @discardableResult
    func change(_ verb: JobChange, _ ids: [JobID], history: String = "") async throws -> ChangeOutcome {
        try await change(ChangeOrder(verb, ids, at: clock.now(), history: Array(history.utf8), expirySeconds: 100))
    }

    func ready(_ lane: Lane, after: JobID, limit: Int, bytesMax: Int) async throws -> [WaitingJob] {
        try await ask { reading throws(SpoolError) in
            try reading.ready(lane, after: after, limit: limit, bytesMax: bytesMax)
        }
    }

    func chunk(_ drafts: [Draft], uid: UInt32 = 1000, sink: (any ReceiptSink)? = nil) -> Chunk {
        Draft.chunk(drafts, now: clock.now(), uid: uid, sink: sink ?? probe)
    }

    /// Hands over one chunk and waits until it comes back.
    /// - Parameter isAlone: it is committed on the calling thread, where the writer sleeps.
    @discardableResult
    func append(_ drafts: [Draft], uid: UInt32 = 1000, isAlone: Bool = false) async throws -> Chunk {
        let chunk = chunk(drafts, uid: uid)
        if !isAlone || !spool.commit(alone: chunk) { spool.append([chunk]) }
        guard let back = await probe.receipts(1).first else { throw Nothing() }
        return back
    }

    struct Nothing: Error {}

    func settle(_ settlements: [Settlement]) async {
        spool.settle(settlements)
        _ = await probe.settled(settlements.count)
    }

    /// Waits until the writer has come round: what was put before is written, or has been tried.
    func turn() async {
        await withCheckedContinuation { done in spool.beat { done.resume() } }
    }

    func ask<Value: Sendable>(
        _ body: @escaping @Sendable (any Reading) throws(SpoolError) -> Value
    ) async throws -> Value {
        let result = await withCheckedContinuation { (done: CheckedContinuation<Result<Value, SpoolError>, Never>) in
            spool.ask { reading in
                done.resume(returning: Result { () throws(SpoolError) in try body(reading) })
            }
        }
        return try result.get()
    }

    func show(_ id: JobID) async throws -> JobRecord? {
        try await ask { reading throws(SpoolError) in try reading.show(id) }
    }

    func list(_ state: JobState? = nil, after: JobID = JobID(raw: 0), limit: Int = 1000) async throws -> [JobRecord] {
        try await ask { reading throws(SpoolError) in try reading.list(state: state, after: after, limit: limit) }
    }

    func ready(
        _ priority: Int = Limits.priorityDefault, queue: UInt16 = 0, uid: UInt32 = 1000,
        after: JobID = JobID(raw: 0), limit: Int = 1000, bytesMax: Int = 1 << 20
    ) async throws -> [WaitingJob] {
        try await ask { reading throws(SpoolError) in
            let lane = Lane(priority: UInt8(priority), queue: queue, uid: uid)
            return try reading.ready(lane, after: after, limit: limit, bytesMax: bytesMax)
        }
    }

    /// - Parameter seconds: from the clock's start.
    func due(_ seconds: Double, limit: Int = 1000, bytesMax: Int = 1 << 20) async throws -> [WaitingJob] {
        try await ask { reading throws(SpoolError) in
            try reading.due(at: TestClock.start + seconds, limit: limit, bytesMax: bytesMax, skipping: []).jobs
        }
    }

    /// The tally as it should be, by looking at every job.
    func counted() async throws -> Tally {
        var tally = Tally()
        for record in try await list(limit: .max) {
            let group = JobGroup(queue: record.queue, uid: record.uid, kind: record.kind)
            tally.add(record.state, jobs: 1, bytes: record.body.count, in: group)
        }
        for state in JobState.allCases where state.isFinal {
            tally.finished += try await list(state, limit: .max).count
        }
        return tally
    }
}

/// A job to be submitted.
struct Draft {
    var body = "{}"
    var priority = Limits.priorityDefault
    /// Seconds from the clock's start at which it is due; nil: at once.
    var due: Double?
    var kind: UInt8 = 0
    var queue: UInt16 = 0
    var key: IdempotencyKey?
    var attemptsMax = 0
    var expires = 3600.0

    /// The bytes lie behind some that were read already, as they may in an intake's buffer.
    static func chunk(_ drafts: [Draft], now: WallTime, uid: UInt32, sink: any ReceiptSink) -> Chunk {
        var bytes = ByteBuffer(string: "read before")
        bytes.moveReaderIndex(to: bytes.writerIndex)
        var submissions: [Submission] = []
        for draft in drafts {
            let start = bytes.readableBytes
            bytes.writeString(draft.body + "\n")
            submissions.append(
                Submission(
                    range: start..<start + draft.body.utf8.count, kind: draft.kind, priority: UInt8(draft.priority),
                    queue: draft.queue, dueAt: draft.due.map { TestClock.start + $0 }, expiresAt: now + draft.expires,
                    attemptsMax: draft.attemptsMax, key: draft.key))
        }
        return Chunk(bytes: bytes, submissions: submissions, uid: uid, sink: sink)
    }
}

extension Chunk {
    func fortune(_ index: Int) -> SpoolModel.Fortune {
        if repeats[index] != nil { return .repeats }
        switch refusals[index] {
        case nil: return .kept
        case .conflict: return .conflicts
        default: return .full
        }
    }

    var keptIDs: [JobID] {
        var ids: [JobID] = []
        forEachKept { ids.append($1) }
        return ids
    }
}

extension Settlement {
    /// The end of an attempt of a job with the body `{}`.
    init(
        _ id: JobID, from was: JobState = .ready, to state: JobState, due: Double? = nil, attempts: Int = 1,
        fates: [Fate]? = nil, history: String = "", bytes: Int = 2, at: WallTime = TestClock.start, uid: UInt32 = 1000,
        queue: UInt16 = 0, isKeyed: Bool = false
    ) {
        self.init(
            id: id, was: was, state: state, dueAt: due.map { TestClock.start + $0 }, endedAt: at, kind: 0, uid: uid,
            queue: queue, isKeyed: isKeyed, attempts: attempts, fates: fates, history: Array(history.utf8), bytes: bytes
        )
    }
}
