// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailJob
import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One host that takes mail, for however many domains: its connections, and whether it was away lately.
///
/// Lives on the delivery loop.
final class ExchangeHost {
    /// A host that was not reached comes after the others of its domain for so long, twice as long each time …
    static let awaySeconds = 30.0
    /// … and no longer.
    static let awaySecondsMax = 600.0
    /// Where STARTTLS is offered and fails, and need not be: the host is given mail in clear for so long.
    static let clearSeconds = 600.0

    let name: String
    /// As DNS had them last.
    var addresses: [IPAddress] {
        get { way.addresses }
        set { way.addresses = newValue }
    }
    /// Monotonic seconds.
    var usedAt: Double
    private let configuration: MXConfiguration
    private let loop: any EventLoop
    private let way = Way()
    private let encrypted: SMTPRelay
    private let clear: SMTPRelay
    private var clearUntil = -Double.infinity
    private var awayUntil = -Double.infinity
    private var failures = 0

    init(
        _ name: String, _ configuration: MXConfiguration, loop: any EventLoop, encryption: RelayTLS?,
        observer: (any SMTPObserver)?, connector: Connector?
    ) {
        self.name = name
        self.configuration = configuration
        self.loop = loop
        usedAt = loop.seconds
        let connector = connector ?? way.connector
        encrypted = SMTPRelay(
            configuration.relay(to: name, tls: configuration.tls), loop: loop, connector: connector,
            encryption: encryption?.named(name), observer: observer)
        clear = SMTPRelay(
            configuration.relay(to: name, tls: .off), loop: loop, connector: connector, observer: observer)
    }

    private var relay: SMTPRelay { clearUntil > loop.seconds ? clear : encrypted }

    var hasIdle: Bool { relay.hasIdle }
    var connectionCount: Int { encrypted.connectionCount + clear.connectionCount }
    var idleCount: Int { encrypted.report.idle + clear.report.idle }
    var isUnrouted: Bool { way.isUnrouted }

    func isAway(at now: Double) -> Bool { now < awayUntil }

    /// Opens one more session; `done` hears why none came about, in a later turn.
    func knock(done: @escaping (Reply?) -> Void) {
        usedAt = loop.seconds
        let relay = self.relay
        relay.rouse()
        relay.knock { [self] cause in
            if let cause, goesClear(relay, cause) { return knock(done: done) }
            // While it keeps sessions with us it only has no room for one more.
            if cause == nil { cameBack() } else if relay.sessionCount == 0 { isGone() }
            done(cause)
        }
    }

    /// RFC 7435 §3: what cannot be encrypted goes in clear where it need not be encrypted. RFC 3463 §3.8: X.7.5.
    private func goesClear(_ relay: SMTPRelay, _ cause: Reply) -> Bool {
        guard relay === encrypted, configuration.tls == .opportunistic, cause.enhanced == "4.7.5" else { return false }
        clearUntil = loop.seconds + Self.clearSeconds
        return true
    }

    func send(_ mail: Mail, done: @escaping (Outcome) -> Void) {
        usedAt = loop.seconds
        relay.send(mail, done: done)
    }

    /// RFC 5321 §4.5.4.1: hosts that were not reached are remembered.
    private func isGone() {
        let seconds = min(Self.awaySecondsMax, Self.awaySeconds * Double(1 << min(failures, 5)))
        if !isAway(at: loop.seconds) { failures += 1 }
        awayUntil = loop.seconds + seconds
    }

    private func cameBack() {
        failures = 0
        awayUntil = -.infinity
    }

    func quitIdle() {
        encrypted.quitIdle()
        clear.quitIdle()
    }

    func close(done: @escaping () -> Void) {
        encrypted.close { [clear] in clear.close(done: done) }
    }
}

/// Where the host's connections go.
private final class Way {
    var addresses: [IPAddress] = []
    /// This machine has no way to any of them.
    private(set) var isUnrouted = false

    /// RFC 8305: IPv6 and IPv4 in turn, the next after a quarter of a second without an answer.
    var connector: Connector {
        Connector { [self] relay, loop in
            let opened = ClientBootstrap(group: loop)
                .connectTimeout(.seconds(Int64(relay.connectSecondsMax)))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelOption(.autoRead, value: false)
                .resolver(KnownAddresses(addresses, on: loop))
                .connect(host: relay.host, port: relay.port)
            opened.assumeIsolated().whenComplete { result in
                if case .failure(let error) = result { self.isUnrouted = Self.isUnrouted(error) }
            }
            return opened
        }
    }

    private static func isUnrouted(_ error: any Error) -> Bool {
        guard let error = error as? NIOConnectionError, !error.connectionErrors.isEmpty else { return false }
        return error.connectionErrors.allSatisfy { failure in
            guard let code = (failure.error as? IOError)?.errnoCode else { return false }
            return code == ENETUNREACH || code == ENETDOWN
        }
    }
}

/// A resolver that knows the answers.
private final class KnownAddresses: NIOPosix.Resolver, Sendable {
    private let addresses: [IPAddress]
    private let loop: any EventLoop

    init(_ addresses: [IPAddress], on loop: any EventLoop) {
        self.addresses = addresses
        self.loop = loop
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { found(isIPv6: false, port) }
    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { found(isIPv6: true, port) }
    func cancelQueries() {}

    private func found(isIPv6: Bool, _ port: Int) -> EventLoopFuture<[SocketAddress]> {
        let chosen = addresses.filter { $0.isIPv6 == isIPv6 }
        return loop.makeSucceededFuture(
            chosen.compactMap { try? SocketAddress(packedIPAddress: ByteBuffer(bytes: $0.bytes), port: port) })
    }
}

/// Whether this machine has a way to the Internet at all.
enum DefaultRoute {
    static var exists: Bool {
        // RFC 5737, RFC 3849: addresses for documentation. Nothing is sent to them: a UDP socket that is connected only
        // has its route looked up.
        ["192.0.2.1", "2001:db8::1"].contains { text in
            guard let address = try? SocketAddress(ipAddress: text, port: 9) else { return false }
            let type = CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
            let descriptor = socket(text.contains(":") ? AF_INET6 : AF_INET, type, 0)
            guard descriptor >= 0 else { return false }
            defer { Glibc.close(descriptor) }
            return address.withSockAddr { connect(descriptor, $0, socklen_t($1)) } == 0
        }
    }
}
