// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailConfiguration
import MailControl
import MailDispatch
import MailIntake
import MailJob
import MailSpool
import MailTelemetry
import MailTransport
import MailWire
import NIOCore
import NIOPosix
import Synchronization
import Systemd

/// All rooms of one running daemon, in the order in which they are opened and closed.
///
/// Two event loops: one for those who submit, which may stand still for a disk; one for delivery, metrics and those who
/// operate. The spool has its own two threads.
final class House: @unchecked Sendable {
    // Changed by the main thread alone, before others run or at a reload.
    var configuration: Configuration
    /// Of the files of the relay's TLS as they were read.
    var tlsStamps: [FileStamp]
    let clock: any Clock
    let events: Events
    let heartbeat: Heartbeat
    let group: MultiThreadedEventLoopGroup
    let front: any EventLoop
    let delivery: any EventLoop
    let kinds: Kinds
    let checks: RelayChecks
    let startedAt: WallTime
    let state: Mutex<DaemonState>
    private var rooms: Rooms?
    /// Why the daemon ends by itself.
    let failure = Mutex<DaemonFailure?>(nil)

    /// What can only be made once the spool is open.
    struct Rooms {
        var spool: Spool
        var dispatcher: Dispatcher
        var intake: Intake
        var control: ControlServer?
        var metrics: MetricsServer?
    }

    var spool: Spool? { rooms?.spool }
    var dispatcher: Dispatcher? { rooms?.dispatcher }
    var intake: Intake? { rooms?.intake }

    init(_ configuration: Configuration, clock: any Clock) throws(DaemonFailure) {
        self.configuration = configuration
        self.clock = clock
        startedAt = clock.now()
        let level = Priority(configuration.logLevel)
        let journal = Journal(identifier: "maild", fieldPrefix: "MAILD_", level: level)
        events = Events(
            kinds: Kinds.types(configuration), journal: journal, workerLabel: configuration.metrics.workerLabel,
            apps: Apps(configuration.apps), clock: clock)
        events.showsAddresses = configuration.logAddresses
        group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        front = group.next()
        delivery = group.next()
        tlsStamps = Kinds.stamps(configuration)
        kinds = try Kinds(configuration, on: delivery, events: events)
        checks = RelayChecks(configuration, kinds.vault, on: delivery)
        state = Mutex(.starting)
        heartbeat = Heartbeat(on: delivery, notifier: Notifier(), interval: WatchdogInterval.seconds(), clock: clock)
    }

    // MARK: Opening

    /// Opens the spool, which recovers by itself, and sets the dispatcher to work on what it holds.
    func open(_ sockets: ListeningSockets) throws(DaemonFailure) {
        let keeping = try Self.attempt { () throws(SpoolError) in try keep() }
        let inHand = try Self.attempt { () throws(SpoolError) in try recover(keeping) }
        let found = keeping.opened
        events.apps.remember(found.settings)
        events.know(queues: found.queues, configured: configuration.queueNames)
        let dispatcher = Dispatcher(
            on: delivery, kinds: kinds.all, settings: DispatchSettings(configuration, queues: found.queues),
            workers: DispatchFact.workers(found.settings, configured: configuration.workers),
            isPaused: found.settings[DispatchFact.paused] != nil, inHand: inHand, clock: clock, events: events)
        let observer = SpoolTelemetry(events, heartbeat) { [self] error in giveUp(error) }
        let outcomes = Outcomes(on: front)
        let spool = try Self.attempt { () throws(SpoolError) in
            try Spool(
                keeping, clock: clock, limits: SpoolLimits(configuration), observer: observer,
                listener: SpoolListeners([dispatcher, outcomes]))
        }
        let intake = Intake(
            on: front, spool: spool, schemas: kinds.schemas(configuration),
            settings: IntakeSettings(configuration, queues: found.queues), outcomes: outcomes, clock: clock,
            events: events)
        front.execute { outcomes.start(spool) }
        rooms = Rooms(spool: spool, dispatcher: dispatcher, intake: intake)
        events.recovered(jobs: found.tally.jobs)
        events.scaled(from: 0, to: dispatcher.gauges.target)
        delivery.execute { dispatcher.start(spool) }
        ClockWatch.begin { [weak dispatcher] in dispatcher?.clockWasSet() }
        let metrics = sockets.metricsAddress.map(\.description)
        spool.fleet?.tells { [weak dispatcher] in
            let gauges = dispatcher?.gauges
            return FleetNote(workers: gauges?.target ?? 0, running: gauges?.busy ?? 0, metrics: metrics)
        }
        spool.fleet?.whenChanged { [heartbeat] in heartbeat.touch() }
        heartbeat.watch(dispatcher, spool, front: front, state: { [self] in state.withLock { $0 } })
    }

    private func keep() throws(SpoolError) -> any Keeping {
        let (spool, types) = (configuration.spool, kinds.all.map(\.type))
        guard let location = FleetLocation(spool) else {
            return try SQLiteKeeping.open(path: spool.path, kinds: types) { [heartbeat] step, steps in
                heartbeat.upgrading(step: step, of: steps)
            }
        }
        let node = spool.node.isEmpty ? configuration.hostname : spool.node
        return try PostgreSQLKeeping(location, node: node, statePath: spool.path, kinds: types)
    }

    /// Before anything is begun: what the daemon before this one died of goes on record, and queues get their numbers.
    private func recover(_ keeping: any Keeping) throws(SpoolError) -> InHand {
        let inHand = try InHand(path: configuration.spool.path + ".inhand")
        let recovery = try keeping.recover(inHand: inHand.found, at: clock.now())
        for job in recovery.again { events.crashed(job: job, isHeld: false) }
        for job in recovery.held { events.crashed(job: job, isHeld: true) }
        inHand.clear()
        _ = try keeping.define(queues: configuration.queueNames)
        return inHand
    }

    private static func attempt<Value>(_ body: () throws(SpoolError) -> Value) throws(DaemonFailure) -> Value {
        do throws(SpoolError) {
            return try body()
        } catch {
            throw .spool(error)
        }
    }

    /// The spool's file is damaged: whatever is written to it may spoil what can still be saved.
    private func giveUp(_ error: SpoolError) {
        let isFirst = failure.withLock { failure in
            defer { failure = failure ?? .spool(error) }
            return failure == nil
        }
        // The main thread waits for signals, and for nothing else.
        if isFirst { kill(getpid(), SIGTERM) }
    }

    /// Accepts clients, operators and scrapes: from here on the daemon is ready.
    func serve(_ sockets: ListeningSockets, reloader: Reloader) throws(DaemonFailure) {
        guard var rooms else { return }
        let control = ControlServer(on: delivery, subject: subject(rooms, reloader))
        let metrics = MetricsServer(events: events, gauges: DaemonGauges(self, rooms), on: delivery)
        rooms.control = control
        rooms.metrics = metrics
        self.rooms = rooms
        do {
            for descriptor in sockets.submit { try rooms.intake.serve(descriptor).wait() }
            for descriptor in sockets.control { try control.serve(descriptor).wait() }
            for descriptor in sockets.metrics { _ = try metrics.adopt(descriptor).wait() }
            if let address = sockets.metricsAddress {
                _ = try metrics.bind(host: address.host, port: address.port).wait()
            }
        } catch {
            throw .system("cannot serve: \(error)")
        }
        state.withLock { $0 = .running }
    }

    private func subject(_ rooms: Rooms, _ reloader: Reloader) -> ControlSubject {
        ControlSubject(
            spool: rooms.spool, dispatcher: rooms.dispatcher, events: events, clock: clock,
            schemas: kinds.schemas(configuration), startedAt: startedAt,
            state: { [weak self] in self?.state.withLock { $0.rawValue } ?? "stopping" },
            drain: { [self] isOn, done in front.execute { [self] in done(letRunEmpty(isOn, rooms.intake)) } },
            reload: { reloader.request($0) },
            check: { [weak self] name, answer in
                guard let self else { return answer(nil) }
                delivery.execute { self.checks.check(name, done: answer) }
            })
    }

    /// On the front loop. Returns how it was before.
    private func letRunEmpty(_ isOn: Bool, _ intake: Intake) -> Bool {
        let was = intake.close(isOn)
        if !intake.isDraining { state.withLock { $0 = isOn ? .draining : .running } }
        heartbeat.touch()
        return was
    }

    // MARK: Closing

    /// Connections and relays that do not say goodbye within it are cut off.
    private static let goodbyeSeconds: Int64 = 5

    /// The way down: no new clients, running jobs end or are given back, the spool is closed last.
    func end(signal: String) {
        guard let rooms else { return }
        let began = clock.monotonic()
        state.withLock { $0 = .draining }
        events.stopping(signal: signal)
        let gone = promise(on: front) { done in rooms.intake.drain(done: done) }
        let seconds = configuration.drainSecondsMax
        let idle = delivery.makePromise(of: Int.self)
        delivery.execute { rooms.dispatcher.drain(seconds: seconds) { idle.succeed($0) } }
        // Said once it is true of both: from here on no job is taken and none is begun.
        for loop in [front, delivery] { try? loop.submit {}.wait() }
        heartbeat.stopping()
        let givenBack = (try? idle.futureResult.wait()) ?? 0
        let quit = promise(on: delivery) { done in rooms.dispatcher.closeKinds(done: done) }
        try? gone.wait()
        try? quit.wait()
        try? rooms.control?.close().wait()
        try? rooms.metrics?.close().wait()
        rooms.spool.close()
        events.drained(seconds: clock.monotonic() - began, givenBack: givenBack)
        events.journal.flush()
        try? group.syncShutdownGracefully()
    }

    /// Fulfilled by `done`, or when `goodbyeSeconds` have passed.
    private func promise(
        on loop: any EventLoop, _ body: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) -> EventLoopFuture<Void> {
        let once = OncePromise(loop.makePromise(of: Void.self))
        loop.execute { body { once.succeed() } }
        loop.scheduleTask(in: .seconds(Self.goodbyeSeconds)) { once.succeed() }
        return once.future
    }
}

/// A promise that several may want to fulfil.
private final class OncePromise: Sendable {
    private let promise: EventLoopPromise<Void>
    private let isDone = Atomic<Bool>(false)

    init(_ promise: EventLoopPromise<Void>) { self.promise = promise }

    var future: EventLoopFuture<Void> { promise.futureResult }

    func succeed() {
        if !isDone.exchange(true, ordering: .relaxed) { promise.succeed() }
    }
}

/// Where the daemon is in its life.
enum DaemonState: String, Sendable {
    case starting, running, reloading, draining, stopping
}
