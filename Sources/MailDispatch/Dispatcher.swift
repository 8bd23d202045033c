// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailTelemetry
import MailTransport
import NIOCore
import Synchronization

/// What the dispatcher is told by the configuration; may change while it runs.
package struct DispatchSettings: Equatable, Sendable {
    package var workers = Limits.workersDefault
    package var retry = RetrySchedule()
    /// What a job that an operator tries again is given at least.
    package var expirySeconds = Double(Limits.expirySeconds)
    /// How each queue is served, by its number in the spool.
    package var queues: [UInt16: QueueRule] = [:]

    package init(workers: Int = Limits.workersDefault, retry: RetrySchedule = RetrySchedule()) {
        self.workers = workers
        self.retry = retry
    }
}

/// Takes due jobs from the spool, by priority and then age, gives each to a worker, and settles what became of it.
///
/// Lives on the delivery loop. Jobs in hand are bounded by the window, never the whole queue; a job is claimed by being
/// taken from the window, and a crash gives it back by forgetting that. What is not yet settled on disk is counted, and
/// past a bound no new job is begun: a disk that refuses writes must not turn into deliveries that nobody remembers.
package final class Dispatcher: @unchecked Sendable {
    // Everything but `shared` and `known` is touched on `loop` alone.
    package let loop: any EventLoop
    private let shared = Mutex(DispatchGauges())
    /// `window.lanesWithMore`, for the writer's thread.
    private let known = KnownLanes()
    private var toldEdition = 0

    let clock: any Clock
    let events: Events
    let kinds: [any JobKind]
    var spool: Spool?
    var settings: DispatchSettings
    var window = ReadyWindow(hasReady: true)
    var pool: WorkerPool
    var isPaused: Bool { didSet { window.isPaused = isPaused } }
    var isDraining = false
    var isReadingLanes = false
    var fleet = FleetClaims()
    /// Where claims outlive the process; nil where nobody asks for them afterwards.
    private let inHand: InHand?
    private var isPumping = false
    private var isFlushing = false
    /// Settlements of this tick, handed to the spool at its end.
    private var settlements: [Settlement] = []
    /// Handed over and not yet on disk.
    private var unsettled = 0
    /// When the deferred ones among these are due: noted once a read can find them.
    private var unsettledDue: [JobID: WallTime] = [:]
    /// Lines of large jobs in the workers' hands.
    private var largeBytes = 0
    private var whenIdle: ((_ givenBack: Int) -> Void)?
    private var drainTimer: Scheduled<Void>?
    var dueTimer: Scheduled<Void>?
    /// What `dueTimer` waits for; nil while it waits for nothing.
    var dueAt: WallTime?
    /// How many workers the configuration names, apart from what `scale` made of it.
    package internal(set) var configuredWorkers: Int

    static let unsettledMax = 16_384

    package init(
        on loop: any EventLoop, kinds: [any JobKind], settings: DispatchSettings, workers: Int, isPaused: Bool,
        inHand: InHand? = nil, clock: any Clock, events: Events
    ) {
        self.loop = loop
        self.kinds = kinds
        self.settings = settings
        self.inHand = inHand
        self.clock = clock
        self.events = events
        self.isPaused = isPaused
        configuredWorkers = settings.workers
        pool = WorkerPool(target: workers, now: clock.monotonic())
        publish()
    }

    package var gauges: DispatchGauges { shared.withLock { $0 } }

    /// Begins to work on what the spool holds. On the loop.
    package func start(_ spool: Spool) {
        self.spool = spool
        window = ReadyWindow(hasReady: spool.fleet == nil && spool.opened.tally.ready > 0)
        window.isPaused = isPaused
        window.rules = settings.queues
        for (name, number) in spool.opened.queues where spool.opened.settings[DispatchFact.paused(queue: name)] != nil {
            window.rules[number, default: QueueRule()].isPaused = true
            fleet.paused[number] = name
        }
        for kind in kinds { kind.staffed(by: pool.target) }
        if let member = spool.fleet { join(member) }
        readDue()
        pump()
    }

    // MARK: The pump

    /// Gives jobs to free workers for as long as there are both.
    func pump() {
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        while canBegin, let job = window.next(room: largeRoom) { begin(job) }
        readReady()
        tellMore()
        tickEnds()
    }

    private var canBegin: Bool {
        pool.hasFree && !isPaused && !isDraining && unsettled < Self.unsettledMax && spool != nil && holdsLease
    }

    private var largeRoom: Int { largeBytes == 0 ? .max : max(0, Limits.largeInHandBytesMax - largeBytes) }

    private func begin(_ job: WaitingJob) {
        let now = clock.now()
        guard job.expiresAt > now else { return expire(job, now) }
        guard let number = occupy(job) else { return }
        events.attemptBegan(
            worker: number, job: job.id, kind: Int(job.kind), queue: job.queue, attempt: job.attempts + 1)
        if job.attempts == 0 { events.queueWait(queue: job.queue, seconds: now.seconds(since: job.readyAt)) }
        let began = clock.monotonic()
        guard Int(job.kind) < kinds.count else { return end(job, number, unknownKind(job), now, began) }
        guard job.isLarge, let spool else { return run(job, number, job.body, now, began) }
        spool.ask { [self] reading in
            let result = Result { () throws(SpoolError) in try reading.body(job.id) }
            loop.execute { [self] in fetched(result, job, number, now, began) }
        }
    }

    /// Puts a worker on the job, until `conclude`.
    private func occupy(_ job: WaitingJob) -> Int? {
        guard let number = pool.begin(job.id, kind: job.kind, queue: job.queue, now: clock.monotonic()) else {
            return nil
        }
        inHand?.begin(number, job.id)
        if job.isLarge { largeBytes += job.length }
        return number
    }

    private func run(_ job: WaitingJob, _ number: Int, _ body: ByteBuffer, _ began: WallTime, _ start: Double) {
        let trace = TraceContext(of: body)
        let work = Work(job: job.id, body: body, fates: job.fates, attempt: job.attempts + 1, trace: trace)
        kinds[Int(job.kind)].run(work) { [self] result in
            var result = result
            result.trace = trace
            end(job, number, result, began, start)
        }
    }

    private func fetched(
        _ result: Result<ByteBuffer?, SpoolError>, _ job: WaitingJob, _ number: Int, _ began: WallTime, _ start: Double
    ) {
        switch result {
        case .success(let body?): return run(job, number, body, began, start)
        case .success(nil): events.spoolFailed("the line of job \(job.id) is not there")
        case .failure(let error): events.spoolFailed(error.message)
        }
        var result = WorkResult(fates: job.fates ?? [.open], tried: [], relay: "maild")
        let cause = Reply(451, "4.3.0", "the spool could not be read")
        result.putOff = PutOff(relay: "maild", cause: cause, seconds: Self.unreadSeconds, recipients: [])
        end(job, number, result, began, start)
    }

    /// A broken disk must not be hammered.
    private static let unreadSeconds = 5.0

    private func end(_ job: WaitingJob, _ number: Int, _ result: WorkResult, _ began: WallTime, _ start: Double) {
        loop.preconditionInEventLoop()
        let now = clock.now()
        let seconds = clock.monotonic() - start
        let judgement = Judgement(
            job, result, now: now, retry: settings.retry, chance: Double.random(in: 0..<1))
        let settlement = Settlement(job, result, judgement, began: began, now: now, seconds: seconds)
        let attempt = Ending.Attempt(result: result, judgement: judgement, seconds: seconds)
        let ending = Ending(job, settlement, worker: number, attempt: attempt)
        if mayReport(job, ending.settlement) { report(ending) } else { conclude(ending) }
    }

    private func expire(_ job: WaitingJob, _ now: WallTime) {
        let settlement = Settlement(outOfTime: job, now: now)
        guard mayReport(job, settlement), let number = occupy(job) else {
            return conclude(Ending(job, settlement, worker: nil))
        }
        report(Ending(job, settlement, worker: number))
    }

    /// Nothing is left to do but to write it down.
    func conclude(_ ending: Ending) {
        if let number = ending.worker {
            pool.end(number, now: clock.monotonic())
            inHand?.end(number)
            if ending.job.isLarge { largeBytes -= ending.job.length }
        }
        window.ended(ending.job)
        fleet.pace.ended += 1
        tell(ending)
        settle(ending.settlement)
        pump()
        if isDraining, pool.busy == 0 { idle(givenBack: 0) }
    }

    private func tell(_ ending: Ending) {
        guard let attempt = ending.attempt else {
            return tell(ending, trace: TraceContext(of: ending.job.body), verdicts: [], relay: "")
        }
        let job = ending.job
        if let putOff = attempt.result.putOff, attempt.result.tried.isEmpty {
            return events.putOff(
                job: job.id, kind: Int(job.kind), queue: job.queue, user: job.uid, trace: attempt.result.trace,
                relay: putOff.relay, cause: putOff.cause)
        }
        if let number = ending.worker {
            events.attemptEnded(
                worker: number, kind: Int(job.kind), seconds: attempt.seconds,
                result: AttemptResult(attempt.result, attempt.judgement))
        }
        tell(ending, trace: attempt.result.trace, verdicts: attempt.result.tried, relay: attempt.result.relay)
    }

    private func tell(_ ending: Ending, trace: TraceContext?, verdicts: [Trial], relay: String) {
        let job = ending.job
        let endedAt = ending.settlement.endedAt
        events.settled(
            job: job.id, kind: Int(job.kind), queue: job.queue, user: job.uid, trace: trace,
            state: ending.settlement.state, attempts: ending.settlement.attempts,
            endToEndSeconds: endedAt.seconds(since: job.id.time), verdicts: verdicts, relay: relay)
    }

    /// The kind was configured when the job came and is not now: the job waits for it.
    private func unknownKind(_ job: WaitingJob) -> WorkResult {
        let verdict = Verdict.deferred(Reply(451, "4.3.5", "this kind of job is no longer configured"))
        return WorkResult(
            fates: job.fates ?? [.open], tried: [Trial(recipient: "", verdict: verdict)], relay: "none")
    }

    // MARK: Settling

    private func settle(_ settlement: Settlement) {
        settlements.append(settlement)
        unsettled += 1
        guard let due = settlement.dueAt else { return }
        window.deferred(settlement.id)
        unsettledDue[settlement.id] = due
    }

    /// Once a tick: one hand-over to the spool and one refresh of the numbers, however many jobs ended in it.
    private func tickEnds() {
        guard !isFlushing else { return }
        isFlushing = true
        loop.execute { [self] in flush() }
    }

    func flush() {
        isFlushing = false
        if !settlements.isEmpty {
            spool?.settle(settlements)
            settlements.removeAll(keepingCapacity: true)
        }
        publish()
    }

    private func publish() {
        var gauges = DispatchGauges()
        gauges.target = pool.target
        gauges.places = pool.places.count
        gauges.busy = pool.busy
        gauges.isPaused = isPaused
        gauges.isDraining = isDraining
        gauges.dueLoaded = window.dueLoaded
        gauges.oldestReady = window.oldest
        shared.withLock { $0 = gauges }
    }

    // MARK: Committed

    private func onLoop(_ chunks: [Chunk], _ settled: [JobID]) {
        unsettled -= settled.count
        for id in settled {
            window.settled(id)
            if !unsettledDue.isEmpty, let due = unsettledDue.removeValue(forKey: id) { noteDue(due) }
        }
        fleet.want()
        for chunk in chunks { take(chunk) }
        pump()
    }

    /// Before a lane is read, because what is committed from then on may be missed by the read.
    func tellMore() {
        guard window.moreEdition != toldEdition else { return }
        toldEdition = window.moreEdition
        known.set(window.lanesWithMore)
    }

    private func take(_ chunk: Chunk) {
        chunk.forEachKept { index, id in
            let job = chunk.submissions[index]
            if let due = job.dueAt { return noteDue(due) }
            // It is found by a claim, of this node or of another.
            guard spool?.fleet == nil else { return }
            let lane = Lane(priority: job.priority, queue: job.queue, uid: chunk.uid)
            let held = job.range.count > Limits.largeBodyBytes ? 0 : job.range.count
            guard window.admits(id, lane, length: held) else { return }
            window.add(WaitingJob(job, id, of: chunk))
        }
    }

    // MARK: Drain

    /// Begins no more jobs; `done` once the last one in hand has ended, or at the deadline with the number of those
    /// that are left to the next start.
    package func drain(seconds: Double, done: @escaping @Sendable (_ givenBack: Int) -> Void) {
        loop.assertInEventLoop()
        isDraining = true
        releaseAtHand()
        dueTimer?.cancel()
        whenIdle = done
        let pause = TimeAmount.milliseconds(Int64(seconds * 1000))
        drainTimer = loop.scheduleTask(in: pause) { [self] in idle(givenBack: pool.busy) }
        if pool.busy == 0 { idle(givenBack: 0) }
    }

    private func idle(givenBack: Int) {
        guard let done = whenIdle else { return }
        whenIdle = nil
        drainTimer?.cancel()
        flush()
        // What is given back is no attempt that ended the daemon.
        inHand?.clear()
        done(givenBack)
    }
}

extension Dispatcher: SpoolListener {
    /// On the writer's thread: hops once a commit, where it is news.
    package func committed(_ chunks: [Chunk], settled: [JobID]) {
        if settled.isEmpty, known.holdAll(chunks) { return }
        loop.execute { [self] in onLoop(chunks, settled) }
    }

    /// On the writer's thread.
    package func changed(_ jobs: [ChangedJob]) {
        loop.execute { [self] in
            window.changed(jobs.map(\.id))
            fleet.want()
            for due in jobs.compactMap(\.dueAt) { noteDue(due) }
            pump()
        }
    }

    /// On the writer's thread.
    package func reported(_ jobs: [ReportedJob]) {
        loop.execute { [self] in
            for job in jobs {
                events.reported(
                    job: job.id, kind: Int(job.group.kind), queue: job.group.queue, user: job.group.uid,
                    state: job.state, report: job.report)
                noteDue(job.reportDueAt)
            }
        }
    }
}
