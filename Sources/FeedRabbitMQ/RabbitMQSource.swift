// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailFeed
import MailJob
import NIOPosix
import Synchronization

/// A queue's consumer, on a thread of its own: librabbitmq waits.
final class RabbitMQSource: FeedSource, Sendable {
    enum Errand: Sendable {
        case acknowledge([Receipt])
        case bury(DeadLetter)
        case publish(FeedOutcome)
        case stop(@Sendable () -> Void)
    }

    private let settings: RabbitMQSettings
    private let password: String
    private let desk: any FeedDesk
    private let box = ErrandBox<Errand>()
    private let pool = NIOThreadPool(numberOfThreads: 1)
    /// Monotonic seconds at the thread's last turn.
    private let movedAt = Mutex(0.0)

    /// A connection may take ten seconds to fail, and a call as long.
    private static let patience = 45.0
    private static let lagSeconds = 5.0

    init(_ settings: RabbitMQSettings, password: String, desk: any FeedDesk) {
        self.settings = settings
        self.password = password
        self.desk = desk
    }

    func start() {
        movedAt.withLock { $0 = SystemClock().monotonic() }
        pool.start()
        pool.submit { [self] _ in run() }
    }

    /// The broker has a bound of its own, the prefetch, which is our window.
    func allow(_ count: Int) {}
    func acknowledge(_ receipts: [Receipt]) { box.put(.acknowledge(receipts)) }
    func bury(_ letter: DeadLetter) { box.put(.bury(letter)) }
    func publish(_ outcome: FeedOutcome) { box.put(.publish(outcome)) }
    func stop(done: @escaping @Sendable () -> Void) { box.put(.stop(done)) }

    var isMoving: Bool { SystemClock().monotonic() - movedAt.withLock { $0 } < Self.patience }

    // MARK: The thread

    private func run() {
        var backoff = Backoff()
        var number: UInt64 = 0
        while true {
            number += 1
            moved()
            let session = RabbitMQSession(settings, password: password, number: number, desk: desk)
            do throws(RabbitMQError) {
                try session.open()
                backoff.succeeded()
                desk.connected()
                if let done = try serve(session) {
                    session.close()
                    return done()
                }
            } catch {
                session.close()
                // All that this channel brought will be handed out again.
                desk.withdrawn(group: number)
                desk.disconnected(error.reason)
            }
            if let done = rest(backoff.next(chance: .random(in: 0..<1))) { return done() }
        }
    }

    private func moved() { movedAt.withLock { $0 = SystemClock().monotonic() } }

    /// Until the connection breaks, or the feed stops.
    private func serve(_ session: RabbitMQSession) throws(RabbitMQError) -> (@Sendable () -> Void)? {
        var lagAt = 0.0
        while true {
            moved()
            for errand in box.take() {
                switch errand {
                case .acknowledge(let receipts): try session.acknowledge(receipts)
                case .bury(let letter): try session.bury(letter)
                case .publish(let outcome): try session.publish(outcome)
                case .stop(let done): return done
                }
            }
            try session.receive()
            let now = SystemClock().monotonic()
            if now >= lagAt {
                lagAt = now + Self.lagSeconds
                desk.lag(try session.lag())
                try session.publishAgain(at: now)
            }
            // Heartbeats are sent by the library when it is called: often enough.
            if try session.receive() == 0 { box.wait(orFor: session.descriptor, milliseconds: 500) }
        }
    }

    /// Waits before the next try; what was wanted of the lost session is void.
    private func rest(_ seconds: Double) -> (@Sendable () -> Void)? {
        let end = SystemClock().monotonic() + seconds
        while true {
            moved()
            for case .stop(let done) in box.take() { return done }
            let left = end - SystemClock().monotonic()
            guard left > 0 else { return nil }
            box.wait(orFor: nil, milliseconds: CInt(min(left, 1) * 1000) + 1)
        }
    }
}
