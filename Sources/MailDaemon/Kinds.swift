// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import MailTelemetry
import MailTransport
import MailWire
import NIOCore

/// The kinds of job that this daemon knows. A new kind is a folder in MailTransport, a schema beside it, and a line in
/// each of the two lists here, in the same place.
struct Kinds {
    static let schemas: [any JobSchema] = [EmailSchema()]

    let email: EmailKind
    var all: [any JobKind] { [email] }

    /// - Parameter loop: the delivery loop.
    init(_ configuration: Configuration, on loop: any EventLoop, events: Events) throws(DaemonFailure) {
        let transport = try Self.mailTransport(configuration, on: loop, events: events)
        email = EmailKind(
            hostname: configuration.hostname, transport: transport, signer: DKIMSigner(configuration.dkim), loop: loop)
    }

    /// The relays by their routes, or the Maildir where none is configured.
    static func mailTransport(
        _ configuration: Configuration, on loop: any EventLoop, events: Events
    ) throws(DaemonFailure) -> any MailTransport {
        let used = configuration.usedRelays
        guard !used.isEmpty else {
            let folder = MaildirFolder(path: configuration.maildir.path, host: configuration.hostname)
            let maildir = MaildirTransport(name: "maildir", folder: folder, loop: loop)
            do throws(MaildirError) {
                try maildir.prepare()
            } catch {
                throw .system("maildir.path: \(error)")
            }
            return maildir
        }
        var relays: [RoutedRelay] = []
        for settings in used {
            let observer = RelayTelemetry(events, events.relayHandle(settings.name))
            let relay = try smtpRelay(settings, configuration.hostname, on: loop, observer)
            relays.append(RoutedRelay(relay, messagesPerSecond: settings.messagesPerSecond, observer: observer))
        }
        return RoutedTransport(relays, table: configuration.routeTable, loop: loop)
    }

    private static func smtpRelay(
        _ relay: RelaySettings, _ hostname: String, on loop: any EventLoop, _ observer: RelayTelemetry
    ) throws(DaemonFailure) -> SMTPRelay {
        let settings = RelayConfiguration(relay, ehloName: hostname)
        do throws(TLSFileError) {
            let encryption = settings.tls == .off ? nil : try RelayTLS(settings)
            return SMTPRelay(settings, loop: loop, encryption: encryption, observer: observer)
        } catch {
            throw DaemonFailure(status: 78, description: "relay.\(relay.name).\(error)")
        }
    }
}

extension RelayConfiguration {
    init(_ settings: RelaySettings, ehloName: String) {
        self.init(name: settings.name, host: settings.host, port: settings.port, ehloName: ehloName)
        socket = settings.socket
        mailProtocol = settings.mailProtocol
        ignoredExtensions = settings.ignoredExtensions
        connectionsMax = settings.connectionsMax
        messagesPerConnectionMax = settings.messagesPerConnectionMax
        idleSecondsMax = Int(settings.idleSecondsMax)
        tls = settings.tls
        tlsFiles = settings.tlsFiles
        login = settings.login
    }
}

/// Carries what a relay sees, and what is seen of it, into metrics and log.
final class RelayTelemetry: SMTPObserver, RouteObserver {
    private let events: Events
    private let relay: RelayHandle

    init(_ events: Events, _ relay: RelayHandle) {
        self.events = events
        self.relay = relay
    }

    func connected(tls: Bool) { events.smtpConnected(relay: relay, tls: tls) }
    func disconnected() { events.smtpDisconnected(relay: relay) }
    func unreachable(_ reason: String) { events.relayUnreachable(relay: relay, reason: reason) }

    func opened(_ cause: String, seconds: Double) {
        events.breakerOpened(relay: relay, cause: cause, seconds: seconds)
    }
    func probing() { events.breakerProbes(relay: relay) }
    func closed() { events.breakerClosed(relay: relay) }

    func reply(_ stage: SMTPStage, _ reply: ServerReply) {
        let replied: ReplyStage? =
            switch stage {
            case .greeting: .connect
            case .hello: .ehlo
            case .startTLS: .starttls
            case .login: .auth
            case .mail: .mail
            case .recipient: .rcpt
            case .data: .data
            case .chunk, .end: .body
            case .quit: .quit
            case .handshake, .body, .reset: nil
            }
        if let replied { events.smtpReply(relay: relay, stage: replied, code: reply.code) }
    }
}
