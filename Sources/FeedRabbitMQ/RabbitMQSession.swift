// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CRabbitMQ
import MailConfiguration
import MailFeed
import MailJob
import MailWire

struct RabbitMQError: Error {
    var reason: String
}

/// One connection to RabbitMQ: a channel that consumes, and one that publishes with confirms. On the source's thread.
final class RabbitMQSession {
    private enum Channel {
        static let consuming: UInt16 = 1
        static let publishing: UInt16 = 2
    }

    private enum Letter {
        case dead(DeadLetter)
        case outcome(FeedOutcome)
    }

    private let settings: RabbitMQSettings
    private let password: String
    private let number: UInt64
    private let desk: any FeedDesk
    private var connection: amqp_connection_state_t?
    private var acknowledgements = TagWindow()
    /// By the number that the broker confirms: 1, 2, 3 …
    private var unconfirmed: [UInt64: Letter] = [:]
    private var published: UInt64 = 0
    /// Those that no queue takes: the broker confirms them all the same.
    private var returned: Set<UInt64> = []
    /// To be published once more, after a while.
    private var refused: [Letter] = []
    private var text = [CChar](repeating: 0, count: 256)

    private static let connectSeconds: CInt = 10
    private static let heartbeatSeconds: CInt = 30
    /// Deliveries handed over at once.
    private static let batchMax = 256
    /// Debian's, and most others'.
    private static let roots = "/etc/ssl/certs/ca-certificates.crt"

    init(_ settings: RabbitMQSettings, password: String, number: UInt64, desk: any FeedDesk) {
        self.settings = settings
        self.password = password
        self.number = number
        self.desk = desk
    }

    var descriptor: CInt? { connection.map { amqp_get_sockfd($0) } }

    // MARK: Opening

    func open() throws(RabbitMQError) {
        guard let connection = amqp_new_connection() else { throw RabbitMQError(reason: "out of memory") }
        self.connection = connection
        let access = settings.access
        try check(
            maild_amqp_open(
                connection, settings.server.host, CInt(settings.server.port), Self.connectSeconds,
                access.isTLS ? access.tlsRoots ?? Self.roots : nil, access.tlsCertificate, access.tlsKey, &text,
                text.count))
        try check(
            maild_amqp_login(
                connection, settings.virtualHost, Self.heartbeatSeconds, access.user ?? "guest", password, &text,
                text.count))
        try check(maild_amqp_channel(connection, Channel.publishing, &text, text.count))
        for queue in [settings.queue, defaultQueue(settings.dead), settings.outcomes.flatMap(defaultQueue)] {
            if let queue { try find(queue) }
        }
        try check(maild_amqp_confirms(connection, Channel.publishing, &text, text.count))
        try check(maild_amqp_channel(connection, Channel.consuming, &text, text.count))
        try check(
            maild_amqp_consume(
                connection, Channel.consuming, settings.queue, settings.consumer, UInt16(settings.prefetch), &text,
                text.count))
    }

    /// The queue to which the default exchange leads.
    private func defaultQueue(_ address: RabbitMQSettings.Address) -> String? {
        address.exchange.isEmpty ? address.key : nil
    }

    /// Makes the queue where it is missing; one that is there is taken as it is. Asking for a missing one costs the
    /// channel.
    private func find(_ queue: String) throws(RabbitMQError) {
        var count: Int64 = 0
        if maild_amqp_queue(connection, Channel.publishing, queue, true, &count, &text, text.count) { return }
        let reason = words
        guard reason.hasPrefix("NOT_FOUND") else { throw RabbitMQError(reason: reason) }
        maild_amqp_heard_close(connection, Channel.publishing)
        try check(maild_amqp_channel(connection, Channel.publishing, &text, text.count))
        try check(maild_amqp_queue(connection, Channel.publishing, queue, false, &count, &text, text.count))
    }

    private func check(_ isGood: Bool) throws(RabbitMQError) {
        guard isGood else { throw RabbitMQError(reason: words) }
    }

    private var words: String {
        let text = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.isEmpty ? "the server refuses without a word" : text
    }

    func close() {
        guard let connection else { return }
        self.connection = nil
        amqp_destroy_connection(connection)
    }

    // MARK: Receiving

    /// All that the broker has said by now. Returns how much it was.
    @discardableResult
    func receive() throws(RabbitMQError) -> Int {
        guard let connection else { return 0 }
        var messages: [FeedMessage] = []
        var event = maild_amqp_event()
        var count = 0
        defer { if !messages.isEmpty { desk.arrived(messages) } }
        while messages.count < Self.batchMax {
            maild_amqp_next(connection, &event)
            guard event.kind != MAILD_AMQP_NOTHING else { break }
            count += 1
            if let message = try take(&event) { messages.append(message) }
            if event.has_message { amqp_destroy_message(&event.message) }
            amqp_maybe_release_buffers(connection)
        }
        return count
    }

    private func take(_ event: inout maild_amqp_event) throws(RabbitMQError) -> FeedMessage? {
        switch event.kind {
        case MAILD_AMQP_DELIVERY: return message(event)
        case MAILD_AMQP_CONFIRMED: confirmed(event.tag, event.multiple, isGood: true)
        case MAILD_AMQP_REFUSED: confirmed(event.tag, event.multiple, isGood: false)
        case MAILD_AMQP_RETURNED:
            let id = Self.string(maild_amqp_correlation_id(&event.message))
            if let number = UInt64(id) { returned.insert(number) }
        case MAILD_AMQP_CANCELLED: throw RabbitMQError(reason: "the queue is gone")
        case MAILD_AMQP_CLOSED, MAILD_AMQP_ERROR:
            throw RabbitMQError(reason: withUnsafeBytes(of: event.text) { Self.string($0) })
        default: break
        }
        return nil
    }

    private func message(_ event: maild_amqp_event) -> FeedMessage {
        var message = event.message
        return FeedMessage(
            receipt: Receipt(group: number, number: event.tag),
            identity: Self.identity(
                queue: settings.queue, id: Self.string(maild_amqp_message_id(&message)),
                correlation: Self.string(maild_amqp_correlation_id(&message)),
                timestamp: maild_amqp_timestamp(&message)),
            body: Self.bytes(message.body), isRedelivered: event.redelivered)
    }

    /// A delivery tag is no identity: it is a channel's count, and another at each delivery. Without a message id there
    /// is the body, which is a part of every key, and what else its sender has said of it.
    static func identity(queue: String, id: String, correlation: String, timestamp: UInt64) -> String {
        guard id.isEmpty else { return "\(queue)/\(id)" }
        let parts = [timestamp == 0 ? "" : "\(timestamp)", correlation].filter { !$0.isEmpty }
        return "\(queue)/~\(parts.joined(separator: "/"))"
    }

    private static func bytes(_ bytes: amqp_bytes_t) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: bytes.bytes, count: bytes.len))
    }

    private static func string(_ bytes: amqp_bytes_t) -> String { String(decoding: Self.bytes(bytes), as: UTF8.self) }

    private static func string(_ bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Messages in the queue that nobody was given yet.
    func lag() throws(RabbitMQError) -> Int {
        var count: Int64 = 0
        try check(
            maild_amqp_queue(connection, Channel.publishing, settings.queue, true, &count, &text, text.count))
        return Int(count)
    }

    // MARK: Acknowledging

    func acknowledge(_ receipts: [Receipt]) throws(RabbitMQError) {
        // What an earlier channel brought is not to be told to this one.
        for step in acknowledgements.acknowledge(receipts.filter { $0.group == number }.map(\.number)) {
            let status = amqp_basic_ack(connection, Channel.consuming, step.tag, step.isMultiple ? 1 : 0)
            try check(status: status)
        }
    }

    private func check(status: CInt) throws(RabbitMQError) {
        guard status != 0 else { return }
        throw RabbitMQError(reason: String(cString: amqp_error_string2(status)))
    }

    // MARK: Publishing

    func bury(_ letter: DeadLetter) throws(RabbitMQError) {
        if letter.receipt.group == number { try publish(.dead(letter)) }
    }

    func publish(_ outcome: FeedOutcome) throws(RabbitMQError) {
        if outcome.receipt.group == number { try publish(.outcome(outcome)) }
    }

    /// What no queue has taken, once more: somebody may have made one meanwhile.
    func publishAgain(at now: Double) throws(RabbitMQError) {
        var letters: [Letter] = []
        swap(&letters, &refused)
        for letter in letters { try publish(letter) }
    }

    private func publish(_ letter: Letter) throws(RabbitMQError) {
        published += 1
        unconfirmed[published] = letter
        let time = SystemClock().now().rfc3339
        switch letter {
        case .dead(let letter):
            let fields = [
                ("x-maild-error", letter.error), ("x-maild-message", letter.message), ("x-maild-field", letter.field),
                ("x-maild-source", letter.identity), ("x-maild-at", time),
            ]
            try send(settings.dead, fields.filter { !$0.1.isEmpty }, letter.body)
        case .outcome(let outcome):
            guard let address = settings.outcomes else { return }
            try send(address, [("x-maild-event", outcome.end.state)], outcome.json(feed: settings.name, at: time))
        }
    }

    private func send(
        _ address: RabbitMQSettings.Address, _ fields: [(String, String)], _ body: [UInt8]
    ) throws(RabbitMQError) {
        // One piece of memory for all names and values, at home for as long as the call takes.
        var text: [UInt8] = []
        var places: [(name: Int, value: Int, length: Int)] = []
        for (name, value) in fields {
            places.append((text.count, text.count + name.utf8.count + 1, value.utf8.count))
            text += Array(name.utf8) + [0] + Array(value.utf8)
        }
        let status = text.withUnsafeBytes { text in
            let table = places.map { place in
                maild_amqp_field(
                    name: text.baseAddress?.advanced(by: place.name).assumingMemoryBound(to: CChar.self),
                    value: text.baseAddress?.advanced(by: place.value), length: place.length)
            }
            return body.withUnsafeBytes { body in
                maild_amqp_publish(
                    connection, Channel.publishing, address.exchange, address.key, "\(published)", table,
                    CInt(table.count), body.baseAddress, body.count)
            }
        }
        try check(status: status)
    }

    private func confirmed(_ tag: UInt64, _ isMultiple: Bool, isGood: Bool) {
        let tags = isMultiple ? unconfirmed.keys.filter { $0 <= tag }.sorted() : [tag]
        var buried: [Receipt] = []
        var told: [Receipt] = []
        for tag in tags {
            guard let letter = unconfirmed.removeValue(forKey: tag) else { continue }
            guard isGood, returned.remove(tag) == nil else {
                desk.warn("no queue takes what goes to \(address(letter))")
                refused.append(letter)
                continue
            }
            switch letter {
            case .dead(let letter): buried.append(letter.receipt)
            case .outcome(let outcome): told.append(outcome.receipt)
            }
        }
        if !buried.isEmpty { desk.buried(buried) }
        if !told.isEmpty { desk.published(told) }
    }

    private func address(_ letter: Letter) -> String {
        let address: RabbitMQSettings.Address? =
            if case .dead = letter { settings.dead } else { settings.outcomes }
        return "exchange \"\(address?.exchange ?? "")\" with the key \(address?.key ?? "")"
    }
}
