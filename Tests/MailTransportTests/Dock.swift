// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import NIOEmbedded
import Testing

/// A relay's world without sockets: an embedded loop, channels whose server the test plays, and a ledger of answers.
final class Dock {
    let loop = EmbeddedEventLoop()
    private(set) var channels: [EmbeddedChannel] = []
    /// How often a connection was tried.
    private(set) var tries = 0
    /// Set: the next connects fail.
    var connectError: (any Error)?
    /// Set: connects stay open until `connectPending`.
    var holdsConnects = false
    private var pending: [EventLoopPromise<any Channel>] = []
    /// By job.
    private(set) var outcomes: [Int64: [Outcome]] = [:]
    private(set) var isClosed = false
    let heard = Hearsay()
    let relay: SMTPRelay
    private var jobCount: Int64 = 0

    init(
        connectionsMax: Int = 4, messagesPerConnectionMax: Int = 100, host: String = "mx.example",
        login: LoginSettings? = nil, chunkBytesMax: Int = 1 << 20
    ) throws {
        var configuration = RelayConfiguration(name: "mx", host: host, port: 25, ehloName: "client.example")
        configuration.login = login
        configuration.chunkBytesMax = chunkBytesMax
        configuration.connectionsMax = connectionsMax
        configuration.messagesPerConnectionMax = messagesPerConnectionMax
        let box = Box()
        relay = SMTPRelay(
            configuration, loop: loop,
            connector: Connector { _, loop in box.dock?.open() ?? loop.makeFailedFuture(Gone()) },
            observer: heard)
        box.dock = self
    }

    private final class Box { weak var dock: Dock? }
    struct Gone: Error {}

    private func open() -> EventLoopFuture<any Channel> {
        tries += 1
        if let connectError { return loop.makeFailedFuture(connectError) }
        let promise = loop.makePromise(of: (any Channel).self)
        pending.append(promise)
        if !holdsConnects { connectPending() }
        return promise.futureResult
    }

    func connectPending() {
        let promises = pending
        pending = []
        for promise in promises {
            let channel = EmbeddedChannel(loop: loop)
            if let address = try? SocketAddress(ipAddress: "192.0.2.1", port: 25) {
                channel.connect(to: address, promise: nil)
            }
            channels.append(channel)
            promise.succeed(channel)
        }
    }

    /// Sends a mail; its number is its job and, where none is given, its recipient.
    @discardableResult
    func send(to recipients: String..., message: String = "hi\r\n") -> Int64 {
        jobCount += 1
        let job = jobCount
        let mail = Mail(
            job: JobID(raw: job), sender: "a@example.org",
            recipients: recipients.isEmpty ? ["\(job)@example.com"] : recipients,
            message: ByteBuffer(string: message), needs8BitMIME: false)
        relay.send(mail) { self.outcomes[job, default: []].append($0) }
        return job
    }

    func close() { relay.close { self.isClosed = true } }

    /// One or more of the server's lines on connection `number`; what the client sends then, LF for CRLF.
    @discardableResult
    func server(_ number: Int, _ lines: String...) throws -> String {
        let text = lines.map { $0 + "\r\n" }.joined()
        try channels[number].writeInbound(ByteBuffer(string: text))
        return try sent(number)
    }

    func sent(_ number: Int) throws -> String {
        loop.run()
        var text = ""
        while let buffer = try channels[number].readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
        return String(text.map { $0 == "\r\n" ? "\n" : $0 })
    }

    /// A connection's session made ready, with PIPELINING or without; what the client sends then.
    @discardableResult
    func ready(_ number: Int, pipelining: Bool = true) throws -> String {
        try server(number, "220 mx")
        return try server(number, pipelining ? "250-mx\r\n250 PIPELINING" : "250 mx")
    }

    func dies(_ number: Int) {
        channels[number].close(promise: nil)
        loop.run()
    }

    /// "delivered 250" for each recipient, all answers of the job.
    func verdicts(_ job: Int64) -> [String] {
        loop.run()
        return (outcomes[job] ?? []).flatMap { $0.verdicts.map { "\($0.name) \($0.reply.code)" } }
    }
}

/// Writes down what an SMTPObserver hears.
final class Hearsay: SMTPObserver {
    private(set) var words: [String] = []
    private(set) var replies: [String] = []

    func connected(tls: Bool) { words.append("connected") }
    func disconnected() { words.append("disconnected") }
    func reply(_ stage: SMTPStage, _ reply: ServerReply) { replies.append("\(stage.rawValue) \(reply.code)") }
    func unreachable(_ reason: String) { words.append("unreachable: \(reason)") }
}
