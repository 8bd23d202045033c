// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import MailTelemetry
import MailTransport
import NIOCore
import Synchronization
import Systemd

/// Tells systemd how the daemon fares: READY, STATUS with live numbers, and WATCHDOG while everything moves.
///
/// On the delivery loop. STATUS is refreshed once a second while something goes on, and not at all while nothing does:
/// a commit or an operator's call begins it anew.
final class Heartbeat: @unchecked Sendable {
    private let loop: any EventLoop
    private let notifier: Notifier
    /// Asked once: commits touch the heart.
    private let isHeard: Bool
    private let interval: Double?
    private let clock: any Clock
    private let isTicking = Atomic<Bool>(false)
    private let pulse: Pulse
    /// Names of relays whose breaker is not closed, at the last tick.
    private let relaysAway = Mutex<[String]>([])
    // Set once, before anything ticks.
    private var dispatcher: Dispatcher?
    private var spool: Spool?
    private var state: @Sendable () -> DaemonState = { .starting }
    // On the loop alone.
    private var lastStatus = ""
    // On the main thread alone, before the loops have work.
    private var upgradeBegan: Double?
    private var upgradeTold = 0.0

    private static let tick = TimeAmount.seconds(1)

    init(on loop: any EventLoop, notifier: Notifier, interval: Double?, clock: any Clock) {
        self.loop = loop
        self.notifier = notifier
        isHeard = notifier.isHeard
        self.interval = interval
        self.clock = clock
        pulse = Pulse(clock: clock, patience: interval ?? Pulse.patienceDefault)
    }

    func watch(
        _ dispatcher: Dispatcher, _ spool: Spool, front: any EventLoop,
        state: @escaping @Sendable () -> DaemonState
    ) {
        self.state = state
        self.dispatcher = dispatcher
        self.spool = spool
        pulse.watch(front: front, delivery: dispatcher.loop, spool: spool)
    }

    /// The daemon serves.
    func begin() {
        notifier.ready(status: status)
        guard let interval else { return }
        notifier.watchdog()
        let half = TimeAmount.microseconds(Int64(interval * 500_000))
        loop.scheduleRepeatedTask(initialDelay: half, delay: half) { [self] _ in
            if pulse.isBeating() { notifier.watchdog() }
        }
    }

    /// An older spool is brought to the present format. Called every few milliseconds on the thread that does it.
    func upgrading(step: Int, of steps: Int) {
        let now = clock.monotonic()
        guard now - upgradeTold >= 1 else { return }
        if upgradeBegan == nil { upgradeBegan = now }
        upgradeTold = now
        let seconds = Int(now - (upgradeBegan ?? now))
        let what = step < steps ? "step \(step + 1) of \(steps)" : "giving room back"
        // A large commit has no moment at which it could tell how far it is.
        notifier.extendTimeout(seconds: 300, status: "bringing the spool to its new format: \(what), \(seconds) s")
    }

    func stopping() { notifier.stopping(status: "draining, " + status) }

    /// All parts have moved lately.
    var isHealthy: Bool { pulse.isBeating() }

    /// When all parts were last seen to move; nil before the first time.
    var lastBeat: WallTime? { pulse.lastBeat }

    /// Something has changed. Callable from any thread; cheap while a tick is pending.
    func touch() {
        guard isHeard, !isTicking.exchange(true, ordering: .relaxed) else { return }
        loop.execute { [self] in scheduleTick() }
    }

    private func scheduleTick() {
        loop.scheduleTask(in: Self.tick) { [self] in
            let reports = dispatcher?.transportReports ?? []
            tell(relaysAway: reports.filter { $0.breaker != "closed" }.map(\.name))
        }
    }

    private func tell(relaysAway: [String]) {
        self.relaysAway.withLock { $0 = relaysAway }
        isTicking.store(false, ordering: .relaxed)
        let status = status
        guard status != lastStatus else { return }
        lastStatus = status
        notifier.status(status)
        // Once more: a number may go on changing without a commit, as the age of the oldest job does.
        touch()
    }

    /// `8 workers, 3 running, 12 ready, oldest 4 s, 2 failed`.
    private var status: String {
        guard let dispatcher, let spool else { return "starting" }
        let gauges = dispatcher.gauges
        let tally = spool.tally
        let ready = max(0, tally.ready + gauges.dueLoaded - gauges.busy)
        var parts = ["\(gauges.target) workers", "\(gauges.busy) running", "\(ready) ready"]
        if ready > 0, let oldest = gauges.oldestReady {
            parts.append("oldest \(Int(max(0, clock.now().seconds(since: oldest)))) s")
        }
        if tally.scheduled > 0 { parts.append("\(max(0, tally.scheduled - gauges.dueLoaded)) scheduled") }
        if tally.held > 0 { parts.append("\(tally.held) held") }
        parts.append("\(tally.failed) failed")
        if gauges.isPaused { parts.append("paused") }
        if state() == .draining { parts.append("no new jobs taken") }
        let away = relaysAway.withLock { $0 }
        if !away.isEmpty { parts.append("relay \(away.joined(separator: ", ")) away") }
        let health = spool.health
        if let complaint = health.complaint { parts.append("no job is taken: \(complaint)") }
        if health.damagedJobs > 0 { parts.append("\(health.damagedJobs) damaged") }
        if let fleet = spool.fleet {
            parts.append(fleet.absence.map { "the database is away (\($0))" } ?? "\(fleet.nodes) nodes")
        }
        return parts.joined(separator: ", ")
    }
}

/// Proof that the event loops and the spool's writer move: each is asked, and must have answered by the next look.
final class Pulse: Sendable {
    private struct State {
        var asked = 0
        var askedAt = 0.0
        /// How many answers the last question has had.
        var answers = 0
        var lastBeat: WallTime?
    }

    /// Without a watchdog: how long a part may take to answer before it is called unhealthy.
    static let patienceDefault = 10.0
    /// Front loop, delivery loop and the spool's writer.
    private static let partCount = 3

    private let clock: any Clock
    private let patience: Double
    private let state = Mutex(State())
    private let parts = Mutex<[@Sendable (@escaping @Sendable () -> Void) -> Void]>([])

    init(clock: any Clock, patience: Double) {
        self.clock = clock
        self.patience = patience
    }

    func watch(front: any EventLoop, delivery: any EventLoop, spool: Spool) {
        parts.withLock {
            $0 = [{ front.execute($0) }, { delivery.execute($0) }, { spool.beat($0) }]
        }
    }

    /// False once a part has not answered for `patience`. Asks anew where all have answered.
    func isBeating() -> Bool {
        let now = clock.monotonic()
        let question: Int? = state.withLock { state in
            guard state.asked == 0 || state.answers == Self.partCount else { return nil }
            state.asked += 1
            state.askedAt = now
            state.answers = 0
            return state.asked
        }
        guard let question else { return state.withLock { now - $0.askedAt < patience / 2 } }
        for part in parts.withLock({ $0 }) { part { [self] in answered(question) } }
        return true
    }

    var lastBeat: WallTime? { state.withLock { $0.lastBeat } }

    private func answered(_ question: Int) {
        let now = clock.now()
        state.withLock { state in
            guard state.asked == question else { return }
            state.answers += 1
            if state.answers == Self.partCount { state.lastBeat = now }
        }
    }
}

/// What the spool says goes to the log, the metrics and the heartbeat.
final class SpoolTelemetry: SpoolObserver {
    private let events: Events
    private let heartbeat: Heartbeat
    /// The spool's file is damaged, or nothing that this maild knows any more; called on the writer's thread.
    private let giveUp: @Sendable (SpoolError) -> Void

    init(_ events: Events, _ heartbeat: Heartbeat, giveUp: @escaping @Sendable (SpoolError) -> Void) {
        self.events = events
        self.heartbeat = heartbeat
        self.giveUp = giveUp
    }

    func committed(rows: Int, seconds: Double) {
        if rows > 0 { events.committed(rows: rows, seconds: seconds) }
        heartbeat.touch()
    }

    func spoolFailed(_ error: SpoolError) {
        events.spoolFailed(error.message)
        heartbeat.touch()
        switch error {
        case .corrupt, .tooNew: giveUp(error)
        default: break
        }
    }

    func setAside(_ row: DamagedRow) {
        events.damaged(job: row.id, reason: row.reason)
        heartbeat.touch()
    }

    func changed(_ health: SpoolHealth) {
        events.readOnly(reason: health.complaint, freeBytes: health.freeBytes)
        heartbeat.touch()
    }
}
