// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// Mail to one SMTP server over a pool of connections that are kept and used again.
///
/// A mail goes to an idle connection; else a new one is opened, up to `connectionsMax`; else it is chained behind the
/// mail of a connection that has room; else it waits in line. Each mail is answered exactly once, and never from within
/// `send`: a caller that sends again when it is answered does not sink deeper and deeper.
package final class SMTPRelay: MailTransport, SMTPConnectionOwner {
    package let configuration: RelayConfiguration
    private let loop: any EventLoop
    private let connector: Connector
    /// There wherever the configuration has TLS.
    private let encryption: RelayTLS?
    /// There where the login's secret comes from an endpoint.
    private let tokens: OAuthTokens?
    private let observer: (any SMTPObserver)?

    /// All connections, those being opened included, until they have ended.
    private var connections: [ObjectIdentifier: SMTPConnection] = [:]
    /// Connections that are not ready yet.
    private var openingCount = 0
    private let round: FlushRound
    private var rack = ConnectionRack()
    private var waiting = CircularBuffer<Delivery>()
    private var pause = ConnectPause()
    /// Mails not answered yet; for assertions, and to know when all is done.
    private var unansweredCount = 0
    private var isBalancing = false
    private var isUnbalanced = false
    private var isClosing = false
    private var closers: [() -> Void] = []
    private var delivered = 0
    private var deferred = 0
    private var rejected = 0

    package init(
        _ configuration: RelayConfiguration, loop: any EventLoop, connector: Connector = .system(),
        encryption: RelayTLS? = nil, tokens: OAuthTokens? = nil, observer: (any SMTPObserver)? = nil
    ) {
        self.configuration = configuration
        self.loop = loop
        round = FlushRound(loop)
        self.connector = connector
        self.encryption = encryption
        self.tokens = tokens
        self.observer = observer
    }

    package var name: String { configuration.name }

    package func send(_ mail: Mail, done: @escaping (Outcome) -> Void) {
        unansweredCount += 1
        waiting.append(Delivery(mail, done: done))
        balance()
    }

    package func close(done: @escaping () -> Void) {
        isClosing = true
        closers.append(done)
        balance()
    }

    /// Opens one more session, for mail that is not there yet; `done` hears why none came about, or nil. Where no more
    /// connections may be opened it is nil as well: mail takes its turn on those that are.
    func knock(done: @escaping (Reply?) -> Void) {
        guard !isClosing, connections.count < configuration.connectionsMax else {
            return loop.assumeIsolated().execute { done(nil) }
        }
        open(knocker: done)
    }

    /// Connections without work say goodbye.
    func quitIdle() {
        for _ in 0..<rack.idleCount { rack.idle?.quit() }
    }

    /// Those being opened included.
    var connectionCount: Int { connections.count }
    var sessionCount: Int { connections.count - openingCount }
    var hasIdle: Bool { rack.idle != nil }

    package var report: TransportReport {
        let transport = configuration.mailProtocol.rawValue
        var report = TransportReport(name: name, transport: transport, address: configuration.address)
        report.connections = connections.values.count { $0.isOpen }
        report.idle = rack.idleCount
        report.delivered = delivered
        report.deferred = deferred
        report.rejected = rejected
        return report
    }

    package var reports: [TransportReport] { [report] }

    /// Whoever asks knows better than the pause when it is worth a try.
    package func rouse() { pause.succeeded() }

    // MARK: What connections tell

    func opened(_ connection: SMTPConnection) {
        openingCount -= 1
        pause.succeeded()
        answerKnocker(connection, nil)
        for delivery in connection.bound {
            // A server may not offer PIPELINING today though it did before: then there is room for one only.
            if connection.room > 0 { connection.submit(delivery) } else { waiting.prepend(delivery) }
        }
        connection.bound = []
    }

    func refill(_ connection: SMTPConnection) {
        rack.place(connection)
        balance()
    }

    func settled(_ settlement: Dialogue.Settlement, on connection: SMTPConnection) {
        let delivery = settlement.delivery
        if settlement.isUntouched && !delivery.isRetry && !isClosing {
            delivery.isRetry = true
            retry(delivery)
        } else {
            answer(delivery, settlement.verdicts, connection)
        }
    }

    func ended(_ connection: SMTPConnection) {
        rack.remove(connection)
        connections[ObjectIdentifier(connection)] = nil
        if !connection.wasReady {
            openingCount -= 1
            if let cause = connection.ending { refused(cause) }
            answerKnocker(
                connection, connection.ending ?? Reply(451, "4.4.1", "no connection to \(configuration.address)"))
        }
        for delivery in connection.bound.reversed() { waiting.prepend(delivery) }
        connection.bound = []
    }

    // MARK: Connections

    /// In a later turn, when the connection is where mail finds it.
    private func answerKnocker(_ connection: SMTPConnection, _ cause: Reply?) {
        guard let knocker = connection.knocker else { return }
        connection.knocker = nil
        loop.assumeIsolated().execute { knocker(cause) }
    }

    private func open(for bound: [Delivery] = [], knocker: ((Reply?) -> Void)? = nil) {
        let connection = SMTPConnection(
            configuration, of: self, loop: loop, encryption: encryption, tokens: tokens, round: round,
            observer: observer)
        connection.bound = bound
        connection.knocker = knocker
        connections[ObjectIdentifier(connection)] = connection
        openingCount += 1
        connector.open(configuration, loop).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): connection.adopt(channel)
            case .failure(let error): self.failed(connection, Connector.reason(error))
            }
        }
    }

    private var canOpen: Bool { connections.count < configuration.connectionsMax && pause.isOver(at: loop.now) }

    private func failed(_ connection: SMTPConnection, _ reason: String) {
        guard connections[ObjectIdentifier(connection)] != nil else { return }
        let cause = Reply(451, "4.4.1", "could not connect to \(configuration.address): \(reason)")
        refused(cause)
        answerKnocker(connection, cause)
        connection.quit()
    }

    private func refused(_ cause: Reply) {
        pause.failed(cause, at: loop.now)
        observer?.unreachable(cause.text)
    }

    /// A connection that dies on being used again says nothing of the server's health: the mail gets a fresh one.
    private func retry(_ delivery: Delivery) {
        if canOpen {
            open(for: [delivery])
        } else {
            waiting.prepend(delivery)
            balance()
        }
    }

    // MARK: The waiting line

    /// Brings the waiting line, the connections and our closing into line with each other. What is done here changes
    /// connections, which call again: once more around, not deeper.
    private func balance() {
        isUnbalanced = true
        guard !isBalancing else { return }
        isBalancing = true
        while isUnbalanced {
            isUnbalanced = false
            distribute()
            if connections.isEmpty { deferWaiting() }
            if isClosing && waiting.isEmpty { windDown() }
        }
        isBalancing = false
    }

    /// Gives waiting mail to whoever can take it, and opens what is needed.
    private func distribute() {
        while !waiting.isEmpty {
            if let connection = rack.idle {
                submitFirst(to: connection)
            } else if waiting.count <= openingCount {
                break
            } else if canOpen {
                open()
            } else if let connection = rack.spare {
                submitFirst(to: connection)
            } else {
                break
            }
        }
    }

    private func submitFirst(to connection: SMTPConnection) {
        // It may have closed within this very turn.
        if connection.room > 0 { connection.submit(waiting.removeFirst()) }
        rack.place(connection)
    }

    /// No connection lives and none may be opened now: nothing was tried.
    private func deferWaiting() {
        guard !waiting.isEmpty else { return }
        let cause = pause.cause ?? Reply(451, "4.4.1", "no connection to \(configuration.address)")
        let seconds = pause.seconds(at: loop.now)
        let given = waiting
        waiting = []
        loop.assumeIsolated().execute { for delivery in given { self.putOff(delivery, cause, seconds) } }
    }

    private func putOff(_ delivery: Delivery, _ cause: Reply, _ seconds: Double) {
        unansweredCount -= 1
        assert(unansweredCount >= 0)
        let recipients = delivery.mail.recipients
        var outcome = Outcome(verdicts: recipients.map { _ in .deferred(cause) }, relay: configuration.name)
        outcome.putOff = PutOff(
            relay: configuration.name, cause: cause, seconds: seconds, recipients: Array(recipients.indices))
        delivery.answer(outcome)
        if isClosing { balance() }
    }

    private func windDown() {
        for connection in connections.values where connection.load == 0 && connection.bound.isEmpty {
            connection.quit()
        }
        guard connections.isEmpty, unansweredCount == 0, !closers.isEmpty else { return }
        let closers = self.closers
        self.closers = []
        loop.assumeIsolated().execute { for closer in closers { closer() } }
    }

    private func answer(_ delivery: Delivery, _ verdicts: [Verdict], _ connection: SMTPConnection?) {
        unansweredCount -= 1
        assert(unansweredCount >= 0 && verdicts.count == delivery.mail.recipients.count)
        count(verdicts)
        delivery.answer(
            Outcome(
                verdicts: verdicts, relay: configuration.name, peer: connection?.peer, tls: connection?.tlsVersion))
        if isClosing { balance() }
    }

    private func count(_ verdicts: [Verdict]) {
        for verdict in verdicts {
            switch verdict {
            case .delivered: delivered += 1
            case .deferred, .unknown: deferred += 1
            case .rejected: rejected += 1
            }
        }
    }
}
