// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import NIOCore

/// A kind of broker, as one feed's configuration names it. A new kind is a folder with one of these, and a line in
/// `FeedKinds` of maild-feed.
package protocol FeedSettings: Sendable {
    /// The name of its table in the configuration, and what begins its idempotency keys: `redis`.
    static var type: String { get }
    /// The keys of its table and of `[outcomes]`.
    static var keys: [String] { get }
    static var outcomeKeys: [String] { get }

    /// Reads its table. Unknown keys were refused before.
    init(_ reader: ConfigurationReader, _ frame: FeedFrame) throws(ConfigurationError)

    /// For people: `stream jobs at 127.0.0.1:6379`.
    var subject: String { get }

    /// Reads secrets and certificates; does not connect yet.
    func source(_ desk: any FeedDesk, on loop: any EventLoop) throws(FeedFailure) -> any FeedSource
}

/// What a kind may want to know of the feed around it.
package struct FeedFrame: Sendable {
    /// The instance's: `NAME` of maild-feed@NAME.service.
    package var name: String
    /// This machine's.
    package var hostname: String
    /// Messages that may be with us at a time.
    package var window: Int
    /// The broker is told only when a job's outcome is known.
    package var waitsForOutcome: Bool
    package var publishesOutcomes: Bool
}

/// The connection to a broker. All calls come on the feed's loop and return at once; a source with a blocking library
/// hands them to its thread. It connects, and connects again, by itself.
package protocol FeedSource: AnyObject, Sendable {
    func start()

    /// So many messages more may be handed over. A broker that has a bound of its own (RabbitMQ's prefetch) may pass it
    /// over.
    func allow(_ count: Int)

    /// The messages are dealt with. What cannot be said now, because the broker is away, is said later or never: who
    /// gets them again is answered by their idempotency key.
    func acknowledge(_ receipts: [Receipt])

    /// Keeps the letter upstream, safely, then tells `FeedDesk.buried`. Tries until it is done, or the message was
    /// withdrawn.
    func bury(_ letter: DeadLetter)

    /// Publishes the event, safely, then tells `FeedDesk.published`. The same holds.
    func publish(_ outcome: FeedOutcome)

    /// Whether its thread, if it has one, has moved lately: the watchdog asks.
    var isMoving: Bool { get }

    /// Takes nothing new; says what is left to say, within the time that the caller gives it, and calls `done`.
    func stop(done: @escaping @Sendable () -> Void)
}

/// Where a source tells what happens. Callable from any thread; calls keep their order.
package protocol FeedDesk: AnyObject, Sendable {
    /// There is a session with the broker.
    func connected()
    /// There is none any more, or none came about; once for each try.
    func disconnected(_ reason: String)
    func arrived(_ messages: [FeedMessage])
    func buried(_ receipts: [Receipt])
    func published(_ receipts: [Receipt])
    /// The broker has taken all messages of the group back and will hand them to somebody again: nothing more is to be
    /// said of them.
    func withdrawn(group: UInt64)
    /// Messages upstream that nobody has been given yet; nil where the broker does not tell.
    func lag(_ count: Int?)
    /// Something an operator should know, which is dealt with: a dead letter that cannot be kept, say.
    func warn(_ message: String)
}

/// Why the feed cannot work as it is configured; `status` by sysexits(3).
package struct FeedFailure: Error, CustomStringConvertible, Sendable {
    package var status: CInt
    package var description: String

    package init(status: CInt, description: String) {
        self.status = status
        self.description = description
    }

    /// EX_CONFIG: systemd is told not to try again (RestartPreventExitStatus=78).
    package static func configuration(_ message: String) -> FeedFailure {
        FeedFailure(status: 78, description: message)
    }

    /// EX_OSERR.
    package static func system(_ message: String) -> FeedFailure { FeedFailure(status: 71, description: message) }
}
