// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import Synchronization

/// One feed at work: the machine, with the broker on one side of it and maild on the other. All on one event loop; the
/// source may call from any thread.
package final class Feeder: FeedDesk, @unchecked Sendable {
    /// How things stand, for whoever asks from another thread.
    package struct Standing: Sendable {
        package var counts = FeedCounts()
        package var isConnected = false
        package var isLinked = false
        package var pause: String?
        package var unanswered = 0
        package var unsettled = 0
        package var lag: Int?
        package var reconnects = 0
        /// Why there is no session with the broker, or none with maild.
        package var trouble: String?
    }

    let loop: any EventLoop
    private let configuration: FeedConfiguration
    private let log: FeedLog
    private var machine: FeedMachine
    private var source: (any FeedSource)?
    private let link: MaildLink
    private let outcomes: OutcomeLinks?
    private let shared = Mutex(Standing())
    private var standing = Standing()
    private var quiet: (() -> Void)?
    /// Why maild took no jobs when that was told last; nil once it has taken one.
    private var toldPause: String?

    /// Ends that got lost in spite of all (a job that was purged tells nothing) are found so many seconds later.
    private static let askSeconds: Int64 = 600

    package init(_ configuration: FeedConfiguration, log: FeedLog, on loop: any EventLoop) {
        self.configuration = configuration
        self.log = log
        self.loop = loop
        machine = FeedMachine(configuration.machine)
        link = MaildLink(configuration.submit, .lines, on: loop)
        outcomes = configuration.waitsForOutcome ? OutcomeLinks(configuration.control, on: loop) : nil
    }

    package var now: Standing { shared.withLock { $0 } }

    /// Once, before anything else.
    package func start(_ source: any FeedSource) {
        loop.execute { [self] in
            self.source = source
            wireLink()
            wireOutcomes()
            link.connect()
            outcomes?.connect()
            source.start()
            machine.begin()
            perform()
        }
    }

    private func wireLink() {
        link.opened = { [unowned self] in
            standing.isLinked = true
            log.linked()
            machine.linkOpened()
            perform()
        }
        link.lost = { [unowned self] reason in
            log.linkLost(reason, wasLinked: standing.isLinked)
            standing.isLinked = false
            machine.linkLost()
            perform()
        }
        link.received = { [unowned self] in machine.answered($0) }
        link.receivedAll = { [unowned self] in perform() }
    }

    private func wireOutcomes() {
        guard let outcomes else { return }
        outcomes.watchBegan = { [unowned self] in machine.watchBegan() }
        outcomes.watchLost = { [unowned self] reason in
            log.watchLost(reason)
            machine.watchLost()
        }
        outcomes.missed = { [unowned self] in machine.askAll() }
        outcomes.jobEnded = { [unowned self] in machine.jobEnded($0, $1) }
        outcomes.told = { [unowned self] in machine.told($0, $1, isKnown: $2) }
        outcomes.settled = { [unowned self] in perform() }
        loop.scheduleRepeatedTask(initialDelay: .seconds(Self.askSeconds), delay: .seconds(Self.askSeconds)) {
            [unowned self] _ in
            machine.askAll()
            perform()
        }
        loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [unowned self] _ in
            machine.tick()
            perform()
        }
    }

    /// On the loop: it moves, and so does the source.
    var isMoving: Bool { source?.isMoving ?? true }

    // MARK: What the source tells

    package func connected() {
        onLoop { feeder in
            feeder.standing.isConnected = true
            feeder.standing.trouble = nil
            feeder.log.connected()
        }
    }

    package func disconnected(_ reason: String) {
        onLoop { feeder in
            if feeder.standing.isConnected { feeder.standing.reconnects += 1 }
            feeder.log.disconnected(reason, wasConnected: feeder.standing.isConnected)
            feeder.standing.isConnected = false
            feeder.standing.trouble = reason
        }
    }

    package func arrived(_ messages: [FeedMessage]) { onLoop { $0.machine.arrived(messages) } }
    package func buried(_ receipts: [Receipt]) { onLoop { $0.machine.buried(receipts) } }
    package func published(_ receipts: [Receipt]) { onLoop { $0.machine.published(receipts) } }
    package func withdrawn(group: UInt64) { onLoop { $0.machine.withdrawn(group: group) } }
    package func lag(_ count: Int?) { onLoop { $0.standing.lag = count } }
    package func warn(_ message: String) { log.warn(message) }

    /// Always by way of the loop's queue, so that calls keep their order and none comes in the midst of another.
    private func onLoop(_ body: @escaping @Sendable (Feeder) -> Void) {
        loop.execute { [self] in
            body(self)
            perform()
        }
    }

    // MARK: What is to be done

    private func perform() {
        var receipts: [Receipt] = []
        for effect in machine.takeEffects() { perform(effect, &receipts) }
        link.flush()
        outcomes?.pump()
        if !receipts.isEmpty { source?.acknowledge(receipts) }
        publishStanding()
        if machine.isQuiet, let quiet {
            self.quiet = nil
            quiet()
        }
    }

    private func perform(_ effect: FeedMachine.Effect, _ receipts: inout [Receipt]) {
        switch effect {
        case .write(let line): link.write(line)
        case .reconnect: link.reconnect()
        case .acknowledge(let receipt): receipts.append(receipt)
        case .bury(let letter):
            log.rejected(letter)
            source?.bury(letter)
        case .publish(let outcome): source?.publish(outcome)
        case .ask(let job): outcomes?.ask(job)
        case .allow(let count): source?.allow(count)
        case .resume(let seconds):
            tellPause(seconds)
            loop.scheduleTask(in: .milliseconds(Int64(seconds * 1000))) { [self] in
                machine.resumed()
                perform()
            }
        }
    }

    /// Once for each outage, however often the feed asks whether it is over.
    private func tellPause(_ seconds: Double) {
        guard let error = machine.pause, error != toldPause else { return }
        toldPause = error
        log.paused(error, seconds: seconds)
    }

    private func publishStanding() {
        if toldPause != nil, !machine.isHeldUp {
            toldPause = nil
            log.resumed()
        }
        standing.counts = machine.counts
        standing.pause = machine.pause
        standing.unanswered = machine.unanswered
        standing.unsettled = machine.unsettled
        let standing = standing
        shared.withLock { $0 = standing }
    }

    // MARK: The way down

    /// Answers that are on their way are waited for, at most so long; what stays unsaid is handed over again and
    /// answered by its key.
    package func stop(secondsMax: Double, done: @escaping @Sendable () -> Void) {
        loop.execute { [self] in
            machine.stop()
            let end: @Sendable () -> Void = { [self] in
                guard let source else { return }
                self.source = nil
                link.stop()
                outcomes?.stop()
                source.stop(done: done)
            }
            let late = loop.scheduleTask(in: .milliseconds(Int64(secondsMax * 1000))) { end() }
            quiet = {
                late.cancel()
                end()
            }
            perform()
        }
    }
}
