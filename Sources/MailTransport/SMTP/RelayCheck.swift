// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// What a try of a relay found, step by step; nothing was sent but the way there and QUIT.
package struct CheckReport: Equatable, Sendable {
    package enum Step: String, Sendable {
        case connect, greeting, hello, tls, login
    }

    package struct Finding: Equatable, Sendable {
        package var step: Step
        package var isOK: Bool
        /// The server's words, or ours about it.
        package var text: String

        package init(step: Step, isOK: Bool, text: String) {
            self.step = step
            self.isOK = isOK
            self.text = text
        }
    }

    package var relay: String
    /// "smtp" or "lmtp".
    package var transport: String
    /// host:port, or the socket's path.
    package var address: String
    /// Address and port of the server that answered.
    package var peer: String?
    /// In the order in which they were taken. One that failed is the last.
    package var findings: [Finding] = []
    /// The lines of the last reply to EHLO or LHLO, without its first.
    package var extensions: [String] = []
    /// Such as `TLSv1.3`; nil in clear.
    package var tls: String?

    package init(relay: String, transport: String, address: String) {
        self.relay = relay
        self.transport = transport
        self.address = address
    }

    package var isOK: Bool { !findings.isEmpty && findings.allSatisfy(\.isOK) }
}

/// Tries a relay as it is configured: connects, greets, encrypts, logs in, and says goodbye. Lives on one loop.
///
/// It goes by a connection of its own, whatever the relay's breaker says and however many others are open.
package final class RelayCheck {
    /// For all of it: longer than a server makes strangers wait on purpose.
    package static let secondsMax: Int64 = 60

    private let relay: RelayConfiguration
    private let loop: any EventLoop
    private let encryption: RelayTLS?
    private let tokens: OAuthTokens?
    private let connector: Connector
    private var report: CheckReport
    private var connection: SMTPConnection?
    /// Replies that are not looked at yet: they are told from within an access to the connection.
    private var heard: [(stage: SMTPStage, reply: ServerReply)] = []
    /// Why no connection came about.
    private var refusal: Reply?
    private var done: ((CheckReport) -> Void)?
    private var alarm: Scheduled<Void>?

    /// - Parameters:
    ///   - encryption: there wherever the configuration has TLS.
    ///   - tokens: there where the login's secret comes from an endpoint.
    package init(
        _ relay: RelayConfiguration, loop: any EventLoop, connector: Connector = .system(),
        encryption: RelayTLS? = nil, tokens: OAuthTokens? = nil
    ) {
        self.relay = relay
        self.loop = loop
        self.connector = connector
        self.encryption = encryption
        self.tokens = tokens
        report = CheckReport(
            relay: relay.name, transport: relay.mailProtocol.rawValue, address: relay.address)
    }

    /// `done` is called once, on the loop.
    package func run(done: @escaping (CheckReport) -> Void) {
        self.done = done
        let connection = SMTPConnection(
            relay, of: self, loop: loop, encryption: encryption, tokens: tokens, round: FlushRound(loop),
            observer: self)
        self.connection = connection
        let limit = TimeAmount.seconds(Self.secondsMax)
        alarm = loop.assumeIsolated().scheduleTask(in: limit) {
            connection.cut("no answer within \(Self.secondsMax) s")
        }
        connector.open(relay, loop).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): connection.adopt(channel)
            case .failure(let error):
                let reason = Connector.reason(error)
                self.refusal = Reply(451, "4.4.1", "could not connect to \(self.relay.address): \(reason)")
                connection.cut(reason)
            }
        }
    }

    // MARK: Findings

    /// Notes that a step was taken; one that is taken again (EHLO after STARTTLS) replaces the first.
    private func find(_ step: CheckReport.Step, _ isOK: Bool, _ text: String) {
        let finding = CheckReport.Finding(step: step, isOK: isOK, text: text)
        if let index = report.findings.firstIndex(where: { $0.step == step }) {
            report.findings[index] = finding
        } else {
            report.findings.append(finding)
        }
    }

    private func look(at connection: SMTPConnection) {
        if report.peer == nil, let peer = connection.peer {
            report.peer = peer
            find(.connect, true, peer)
        }
        if report.tls == nil, let version = connection.tlsVersion {
            report.tls = version
            let trust = relay.tls.isVerified ? "verified" : "not verified (opportunistic)"
            let certificate = connection.certificate.map { "certificate \($0)" } ?? "no certificate"
            find(.tls, true, "\(version), \(certificate), \(trust)")
        }
        for (stage, reply) in heard { look(at: reply, to: stage) }
        heard = []
    }

    private func look(at reply: ServerReply, to stage: SMTPStage) {
        switch stage {
        case .greeting: find(.greeting, reply.isPositive, reply.reply.words)
        case .hello:
            if reply.isPositive { report.extensions = Array(reply.texts.dropFirst()) }
            find(.hello, reply.isPositive, reply.texts.first.map { "\(reply.code) \($0)" } ?? "\(reply.code)")
        default: break
        }
    }

    /// The first step that the session needed and did not take.
    private var missing: CheckReport.Step {
        var steps: [CheckReport.Step] = [.connect, .greeting, .hello]
        switch relay.tls {
        case .implicit: steps.insert(.tls, at: 1)
        case .required, .opportunistic: steps.append(.tls)
        case .off: break
        }
        return steps.first { step in !report.findings.contains { $0.step == step && $0.isOK } } ?? .login
    }
}

extension RelayCheck: SMTPConnectionOwner {
    func opened(_ connection: SMTPConnection) {
        look(at: connection)
        if relay.tls == .opportunistic, report.tls == nil {
            find(.tls, true, "none: not offered, or refused, and opportunistic")
        }
        if let name = connection.loginName { find(.login, true, "as \(relay.login?.user ?? "") by \(name)") }
        connection.quit()
    }

    func refill(_ connection: SMTPConnection) { look(at: connection) }

    func settled(_ settlement: Dialogue.Settlement, on connection: SMTPConnection) {
        preconditionFailure("a check was given mail")
    }

    func ended(_ connection: SMTPConnection) {
        look(at: connection)
        if !connection.wasReady {
            let cause = refusal ?? connection.ending
            find(missing, false, cause.map(\.words) ?? "the session ended without a reason")
        }
        alarm?.cancel()
        let done = self.done
        self.done = nil
        self.connection = nil
        done?(report)
    }
}

extension RelayCheck: SMTPObserver {
    package func connected(tls: Bool) {}
    package func disconnected() {}
    package func unreachable(_ reason: String) {}

    package func reply(_ stage: SMTPStage, _ reply: ServerReply) {
        heard.append((stage, reply))
    }
}

extension Reply {
    /// For people: code, status and text.
    package var words: String {
        [code > 0 ? String(code) : "", enhanced, text].filter { !$0.isEmpty }.joined(separator: " ")
    }
}
