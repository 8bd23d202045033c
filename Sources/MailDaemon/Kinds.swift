// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailJob
import MailMessage
import MailTelemetry
import MailTransport
import MailWire
import NIOCore

/// The kinds of job of one daemon, from its start to its end: e-mail, and of the others those that the configuration
/// named at the start.
struct Kinds {
    /// A new kind is a folder in MailTransport and a line here: docs/adding-a-kind.md.
    static let others = [
        KindEntry(WebhookKind.self, WebhookSchema.type) { $0.webhook },
        KindEntry(ExecKind.self, ExecSchema.type) { $0.exec },
        KindEntry(NoopKind.self, NoopSchema.type) { $0.noop },
    ]

    let email: EmailKind
    let vault: TokenVault
    private let entries: [KindEntry]
    private let opened: [OpenKind]
    /// A kind's number is its place here and in the lists below.
    var all: [any JobKind] { [email] + opened.map(\.kind) }

    /// The names, before there are kinds.
    static func types(_ configuration: Configuration) -> [String] {
        [EmailSchema.type] + others.filter { $0.isNamed(configuration) }.map(\.type)
    }

    /// By the configuration of now; the kinds stay those of the start.
    func schemas(_ configuration: Configuration) -> [any JobSchema] {
        [EmailSchema()] + entries.map { $0.schema(configuration) }
    }

    func renewals(_ configuration: Configuration) throws(DaemonFailure) -> [DeliveryChange] {
        var changes: [DeliveryChange] = []
        for kind in opened { changes.append(try kind.renewal(configuration)) }
        return changes
    }

    /// - Parameter loop: the delivery loop.
    init(_ configuration: Configuration, on loop: any EventLoop, events: Events) throws(DaemonFailure) {
        vault = TokenVault(directory: configuration.oauthDirectory, loop: loop)
        let transport = try Self.mailTransport(configuration, vault, on: loop, events: events)
        email = EmailKind(
            hostname: configuration.hostname, transport: transport, signer: DKIMSigner(configuration.dkim),
            bounces: configuration.bounces, loop: loop)
        entries = Self.others.filter { $0.isNamed(configuration) }
        var opened: [OpenKind] = []
        for entry in entries { opened.append(try entry.open(configuration, loop, events)) }
        self.opened = opened
    }

    /// The relays by their routes, or the Maildir where none is configured.
    static func mailTransport(
        _ configuration: Configuration, _ vault: TokenVault, on loop: any EventLoop, events: Events
    ) throws(DaemonFailure) -> any MailTransport {
        let used = configuration.usedRelays
        let folder = MaildirFolder(path: configuration.maildir.path, host: configuration.hostname)
        guard !used.isEmpty else {
            let maildir = MaildirTransport(name: "maildir", folder: folder, loop: loop)
            do throws(MaildirError) {
                try maildir.prepare()
            } catch {
                throw .system("maildir.path: \(error)")
            }
            return maildir
        }
        let lookups = try lookups(configuration, on: loop)
        var relays: [RoutedRelay] = []
        for settings in used {
            let observer = RelayTelemetry(events, events.relayHandle(settings.name))
            let relay: any MailTransport
            if let lookups, settings.isMX {
                relay = try mxTransport(settings, configuration.hostname, on: loop, lookups, observer)
            } else {
                relay = try smtpRelay(settings, configuration.hostname, vault, on: loop, observer)
            }
            relays.append(RoutedRelay(relay, messagesPerSecond: settings.messagesPerSecond, observer: observer))
        }
        let routes = RoutedTransport(relays, table: configuration.routeTable, loop: loop)
        return LocalDelivery(beside: routes) { MaildirTransport(name: "maildir", folder: folder, loop: loop) }
    }

    private static func smtpRelay(
        _ relay: RelaySettings, _ hostname: String, _ vault: TokenVault, on loop: any EventLoop,
        _ observer: RelayTelemetry
    ) throws(DaemonFailure) -> SMTPRelay {
        let settings = RelayConfiguration(relay, ehloName: hostname)
        do throws(TLSFileError) {
            let encryption = settings.tls == .off ? nil : try RelayTLS(settings)
            let tokens = try vault.tokens(for: relay, observer)
            return SMTPRelay(settings, loop: loop, encryption: encryption, tokens: tokens, observer: observer)
        } catch {
            throw DaemonFailure(status: 78, description: "relay.\(relay.name).\(error)")
        }
    }
}

extension Kinds {
    /// One resolver, and one cache, for all relays that need it; nil where none does.
    private static func lookups(
        _ configuration: Configuration, on loop: any EventLoop
    ) throws(DaemonFailure) -> Lookups? {
        guard configuration.usedRelays.contains(where: \.isMX) else { return nil }
        do throws(ResolverError) {
            return Lookups(try Resolver(configuration.dns), on: loop)
        } catch {
            throw DaemonFailure(status: 78, description: "dns: \(error)")
        }
    }

    private static func mxTransport(
        _ relay: RelaySettings, _ hostname: String, on loop: any EventLoop, _ lookups: Lookups,
        _ observer: RelayTelemetry
    ) throws(DaemonFailure) -> MXTransport {
        let settings = MXConfiguration(relay, ehloName: hostname)
        do throws(TLSFileError) {
            // For no host in particular: each gets its own name.
            let encryption = settings.tls == .off ? nil : try RelayTLS(settings.template)
            return MXTransport(settings, loop: loop, lookups: lookups, encryption: encryption, observer: observer)
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
final class RelayTelemetry: SMTPObserver, RouteObserver, OAuthObserver {
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

    func tokenFetched(seconds: Double) { events.tokenFetched(relay: relay, seconds: seconds) }
    func tokenRefused(_ reason: String) { events.tokenRefused(relay: relay, reason: reason) }
    func refreshTokenNotKept(_ reason: String) { events.refreshTokenNotKept(relay: relay, reason: reason) }

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
