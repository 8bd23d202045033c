// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailFeed
import NIOCore

/// A feed from a RabbitMQ queue, as its configuration has it.
package struct RabbitMQSettings: FeedSettings, Equatable {
    package static let type = "rabbitmq"
    package static let keys =
        ["server", "virtual_host", "queue", "dead_exchange", "dead_routing_key"] + BrokerAccess.keys
    package static let outcomeKeys = ["exchange", "routing_key"]

    /// Where a message goes: by the default exchange (`""`) to the queue of the key's name.
    package struct Address: Equatable, Sendable {
        package var exchange = ""
        package var key: String
    }

    package var server: HostPort
    package var virtualHost = "/"
    package var queue = ""
    package var dead = Address(key: "")
    package var outcomes: Address?
    package var prefetch: Int
    package var name: String
    package var consumer: String
    package var access: BrokerAccess

    package init(_ reader: ConfigurationReader, _ frame: FeedFrame) throws(ConfigurationError) {
        let access = try BrokerAccess(reader, Self.type)
        self.access = access
        prefetch = frame.window
        name = frame.name
        consumer = "maild-feed/\(frame.hostname)/\(frame.name)"
        server = HostPort(host: "127.0.0.1", port: access.isTLS ? 5671 : 5672)
        try reader.read(["rabbitmq", "server"], into: &server, wanted: "HOST:PORT such as rabbit.example:5672") {
            HostPort($0)
        }
        try reader.read(["rabbitmq", "virtual_host"], into: &virtualHost, wanted: Self.wanted, Self.short)
        try reader.read(["rabbitmq", "queue"], into: &queue, wanted: Self.wanted, Self.short)
        guard !queue.isEmpty else { throw reader.error(["rabbitmq", "queue"], "is needed: the queue with the jobs") }
        dead.key = "\(queue).dead"
        try Self.read(reader, ["rabbitmq", "dead_exchange"], ["rabbitmq", "dead_routing_key"], &dead)
        guard dead != Address(key: queue) else {
            throw reader.error(["rabbitmq", "dead_routing_key"], "is the queue itself: its letters would come back")
        }
        guard frame.publishesOutcomes else { return }
        var outcomes = Address(key: "\(queue).outcomes")
        try Self.read(reader, ["outcomes", "exchange"], ["outcomes", "routing_key"], &outcomes)
        guard outcomes != Address(key: queue) else {
            throw reader.error(["outcomes", "routing_key"], "must not be the queue of the jobs")
        }
        self.outcomes = outcomes
    }

    private static let wanted = "a name of 1 to 255 bytes"

    /// AMQP 0-9-1 § 4.2.5.3: a short string has at most 255 bytes. A NUL would end it in the library.
    private static func short(_ text: String) -> String? {
        (1...255).contains(text.utf8.count) && !text.utf8.contains(0) ? text : nil
    }

    private static func read(
        _ reader: ConfigurationReader, _ exchange: [String], _ key: [String], _ address: inout Address
    ) throws(ConfigurationError) {
        try reader.read(exchange, into: &address.exchange, wanted: "an exchange's name") {
            $0.isEmpty ? $0 : short($0)
        }
        try reader.read(key, into: &address.key, wanted: wanted, short)
    }

    package var subject: String { "queue \(queue) at \(server)" }

    package func source(_ desk: any FeedDesk, on loop: any EventLoop) throws(FeedFailure) -> any FeedSource {
        // Once here, so that a mistake in the files is told at the start.
        _ = try access.context(Self.type)
        return RabbitMQSource(self, password: try access.readPassword(Self.type) ?? "guest", desk: desk)
    }
}
