// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CRdKafka
import Glibc
import MailFeed
import Synchronization

/// A topic's consumer. The feed's calls are left in a mailbox for a thread of its own, because librdkafka calls back
/// from where it is polled, and may block there.
final class KafkaSource: FeedSource, @unchecked Sendable {
    enum Order: Sendable {
        case allow(Int)
        case acknowledge([Receipt])
        case bury(DeadLetter)
        case publish(FeedOutcome)
        case stop(@Sendable () -> Void)
    }

    private let mailbox = Mutex<[Order]>([])
    private let worker: KafkaWorker
    /// An eventfd(2), which mailbox and librdkafka write to.
    private let wakes: CInt
    private let moved = Atomic<Int>(0)

    /// The longest that a turn of the thread waits is `KafkaWorker.waitMilliseconds` for a commit.
    private static let stillSecondsMax = 10

    init(_ settings: KafkaSettings, password: String?, desk: any FeedDesk) throws(FeedFailure) {
        wakes = maild_wakes_open()
        guard wakes >= 0 else { throw .system("kafka: eventfd: \(Reason.text(errno))") }
        worker = try KafkaWorker(settings, KafkaProperties(settings, password: password), desk)
    }

    func start() {
        moved.store(Self.now(), ordering: .relaxed)
        let source = Unmanaged.passRetained(self)
        // The thread inherits the mask: the main thread alone waits for signals.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<KafkaSource>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, source.toOpaque())
        if status == 0 {
            pthread_detach(thread)
        } else {
            // The watchdog will see that nothing moves.
            source.release()
            worker.desk.disconnected("no thread could be made: \(Reason.text(status))")
        }
    }

    private func run() {
        worker.takeOrders = { [unowned self] in
            mailbox.withLock { orders in
                var taken: [Order] = []
                swap(&taken, &orders)
                return taken
            }
        }
        worker.begin(wakes)
        while worker.turn() {
            moved.store(Self.now(), ordering: .relaxed)
            var entry = pollfd(fd: wakes, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, worker.isBusy ? 0 : KafkaWorker.tickMilliseconds)
            var count: UInt64 = 0
            _ = read(wakes, &count, MemoryLayout<UInt64>.size)
        }
    }

    private static func now() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec
    }

    var isMoving: Bool { Self.now() - moved.load(ordering: .relaxed) < Self.stillSecondsMax }

    // MARK: The mailbox

    private func leave(_ order: Order) {
        let wasEmpty = mailbox.withLock { orders in
            orders.append(order)
            return orders.count == 1
        }
        guard wasEmpty else { return }
        var one: UInt64 = 1
        _ = write(wakes, &one, MemoryLayout<UInt64>.size)
    }

    func allow(_ count: Int) { leave(.allow(count)) }
    func acknowledge(_ receipts: [Receipt]) { leave(.acknowledge(receipts)) }
    func bury(_ letter: DeadLetter) { leave(.bury(letter)) }
    func publish(_ outcome: FeedOutcome) { leave(.publish(outcome)) }
    func stop(done: @escaping @Sendable () -> Void) { leave(.stop(done)) }
}
