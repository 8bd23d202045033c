// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import MailTelemetry
import MailTransport
import NIOCore
import NIOPosix
import Synchronization
import Systemd
import TestSupport

/// A clock that moves when it is told.
final class HandClock: Clock {
    private let milliseconds = Mutex<Int64>(WallTime.start.milliseconds)
    /// By which the wall clock was set forward or back.
    private let set = Mutex<Int64>(0)

    func now() -> WallTime { WallTime(milliseconds: milliseconds.withLock { $0 } + set.withLock { $0 }) }
    func monotonic() -> Double { Double(milliseconds.withLock { $0 }) / 1000 }
    func advance(seconds: Double) { milliseconds.withLock { $0 += Int64(seconds * 1000) } }
    /// Somebody sets the wall clock; no time passes.
    func jump(seconds: Double) { set.withLock { $0 += Int64(seconds * 1000) } }
}

private struct NoLog: JournalSink {
    func write(_ records: UnsafeRawBufferPointer) {}
}

/// A dispatcher over a real spool in memory, with a kind whose answers the test gives.
final class Shop: ReceiptSink {
    let clock = HandClock()
    let keeping: StagedKeeping
    let kind: HandKind
    let dispatcher: Dispatcher
    let spool: Spool
    /// Commits that were refused.
    let failures = Watched(0)
    /// Ids of kept jobs, in the order of their submission.
    let accepted = Watched<[JobID]>([])

    init(
        workers: Int = 2, isPaused: Bool = false, retry: RetrySchedule = RetrySchedule(),
        keeping: StagedKeeping = StagedKeeping()
    ) throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        self.keeping = keeping
        kind = HandKind(loop)
        let events = Events(kinds: ["hand"], journal: Journal(NoLog(), fieldPrefix: ""), clock: clock)
        dispatcher = Dispatcher(
            on: loop, kinds: [kind], settings: DispatchSettings(workers: workers, retry: retry), workers: workers,
            isPaused: isPaused, clock: clock, events: events)
        spool = try Spool(
            keeping, clock: clock, limits: SpoolLimits(), observer: FailureCounter(failures), listener: dispatcher)
        dispatcher.loop.execute { [dispatcher, spool] in dispatcher.start(spool) }
    }

    private final class FailureCounter: SpoolObserver {
        let failures: Watched<Int>
        init(_ failures: Watched<Int>) { self.failures = failures }
        func committed(rows: Int, seconds: Double) {}
        func spoolFailed(_ error: SpoolError) { failures.change { $0 += 1 } }
    }

    func committed(_ chunks: [Chunk]) {
        for chunk in chunks {
            var ids: [JobID] = []
            chunk.forEachKept { _, id in ids.append(id) }
            accepted.change { [ids] in $0 += ids }
        }
    }

    /// Submits jobs and returns their ids once they are kept.
    @discardableResult
    func submit(_ jobs: [Job], uid: UInt32 = 0) async throws -> [JobID] {
        let before = accepted.value.count
        spool.append([chunk(jobs, uid: uid)])
        return Array(try await accepted.until { $0.count >= before + jobs.count }[before...])
    }

    struct Job: Sendable {
        var priority = 4
        var queue: UInt16 = 0
        /// From now on.
        var delay: Double?
        var expiry = 1e6
        var attemptsMax = 0
        var bytes = 10
    }

    func chunk(_ jobs: [Job], uid: UInt32 = 0) -> Chunk {
        var at = 0
        let submissions = jobs.map { job in
            defer { at += job.bytes }
            return Submission(
                range: at..<at + job.bytes, kind: 0, priority: UInt8(job.priority), queue: job.queue,
                dueAt: job.delay.map { clock.now() + $0 }, expiresAt: clock.now() + job.expiry,
                attemptsMax: job.attemptsMax)
        }
        return Chunk(bytes: ByteBuffer(repeating: 0x20, count: at), submissions: submissions, uid: uid, sink: self)
    }

    func onLoop<Value: Sendable>(_ body: @escaping @Sendable (Dispatcher) -> Value) async throws -> Value {
        let dispatcher = dispatcher
        return try await dispatcher.loop.submit { body(dispatcher) }.get()
    }

    /// Everything that was on its way between the threads has arrived.
    func settleDown() async throws {
        for _ in 0..<4 {
            let beat = Watched(false)
            spool.beat { beat.change { $0 = true } }
            try await beat.until { $0 }
            let asked = Watched(false)
            spool.ask { _ in asked.change { $0 = true } }
            try await asked.until { $0 }
            _ = try await onLoop { _ in true }
        }
    }

    func state(_ id: JobID) async throws -> JobState? {
        let found = Watched<[JobState?]>([])
        spool.ask { reading in
            let state = try? reading.show(id)?.state
            found.change { $0.append(state) }
        }
        return try await found.until { !$0.isEmpty }[0]
    }
}

/// A kind of job that does what the test says.
final class HandKind: JobKind, @unchecked Sendable {
    struct Log: Sendable {
        var began: [JobID] = []
        var attempts: [Int] = []
        var lengths: [Int] = []
        var inHand = 0
        var mostInHand = 0
    }

    let type = "hand"
    let log = Watched(Log())
    private let loop: any EventLoop
    // On the loop.
    private var pending: [JobID: (WorkResult) -> Void] = [:]
    private var automatic: Verdict?
    private var outage: Double?
    /// Somebody wants to be told of failures; the test answers them.
    private var isReporting = false
    private var reporting: [JobID: (FailureReport) -> Void] = [:]
    let failures = Watched<[FailedWork]>([])

    init(_ loop: any EventLoop) { self.loop = loop }

    static let delivered = Verdict.delivered(Reply(250))
    static let deferred = Verdict.deferred(Reply(451))

    /// From now on every job ends at once with this verdict; those in hand do so too.
    func answerAll(_ verdict: Verdict) {
        loop.execute { [self] in
            automatic = verdict
            for id in pending.keys { answer(id, verdict) }
        }
    }

    /// No relay takes mail: every job is told to come again in so many seconds; nil ends it.
    func outage(_ seconds: Double?) {
        loop.execute { [self] in
            outage = seconds
            if seconds != nil { for id in pending.keys { putOff(id) } }
        }
    }

    private func putOff(_ id: JobID) {
        guard let seconds = outage, let done = pending.removeValue(forKey: id) else { return }
        log.change { $0.inHand -= 1 }
        var result = WorkResult(fates: [.open], tried: [], relay: "hand")
        result.putOff = PutOff(
            relay: "hand", cause: Reply(451, "4.4.1", "away"), seconds: seconds, recipients: [0])
        done(result)
    }

    func end(_ id: JobID, _ verdict: Verdict = HandKind.delivered) {
        loop.execute { [self] in answer(id, verdict) }
    }

    private func answer(_ id: JobID, _ verdict: Verdict) {
        guard let done = pending.removeValue(forKey: id) else { return }
        log.change { $0.inHand -= 1 }
        let fate: Fate =
            switch verdict {
            case .delivered: .delivered
            case .rejected: .rejected
            case .deferred, .unknown: .open
            }
        done(WorkResult(fates: [fate], tried: [Trial(recipient: "a@example.com", verdict: verdict)], relay: "hand"))
    }

    func run(_ work: Work, done: @escaping (WorkResult) -> Void) {
        loop.preconditionInEventLoop()
        pending[work.job] = done
        log.change { log in
            log.began.append(work.job)
            log.attempts.append(work.attempt)
            log.lengths.append(work.body.readableBytes)
            log.inHand += 1
            log.mostInHand = max(log.mostInHand, log.inHand)
        }
        if outage != nil { return putOff(work.job) }
        if let automatic { answer(work.job, automatic) }
    }

    func reportFailures() { loop.execute { [self] in isReporting = true } }

    func tell(_ id: JobID, _ report: FailureReport) {
        loop.execute { [self] in reporting.removeValue(forKey: id)?(report) }
    }

    func mayReport(_ line: ByteBuffer) -> Bool { isReporting }

    func report(_ failure: FailedWork, done: @escaping (FailureReport) -> Void) {
        loop.preconditionInEventLoop()
        reporting[failure.job] = done
        failures.change { $0.append(failure) }
    }

    func close(done: @escaping () -> Void) { done() }
    var reports: [TransportReport] { [] }
}
