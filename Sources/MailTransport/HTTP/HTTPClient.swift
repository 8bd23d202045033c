// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import NIOPosix
import NIOSSL

/// What a client may do, and how long it waits.
package struct HTTPClientSettings: Equatable, Sendable {
    package var policy = AddressPolicy.anywhere
    /// For the name, TCP and TLS together.
    package var connectSecondsMax = 10.0
    /// For a whole exchange, from the call to the end of the response.
    package var secondsMax = 30.0

    package init() {}
}

/// HTTP/1.1 requests over TLS or in clear. Connections that have answered are kept for the next request to their origin.
///
/// Lives on one event loop. Each request is answered exactly once, and never from within `send`. How many go at a time
/// is the caller's to bound. Redirects are answers like others.
package final class HTTPClient {
    /// Unused connections to one origin, and to all: more are only kept by a burst that is over.
    static let idleMaxPerOrigin = 8
    static let idleMax = 64

    let policy: AddressPolicy
    private let settings: HTTPClientSettings
    private let loop: any EventLoop
    private let trust: HTTPTrust
    /// For the system's resolver, which blocks; made for the first name.
    private var threads: NIOThreadPool?
    private var idle: [String: [HTTPConnection]] = [:]
    private var idleCount = 0
    /// All but the idle ones.
    private var busy: [ObjectIdentifier: HTTPConnection] = [:]
    private var open = 0
    private var isClosing = false
    private var closers: [() -> Void] = []

    package init(_ settings: HTTPClientSettings, trust: HTTPTrust, loop: any EventLoop) {
        self.settings = settings
        self.trust = trust
        self.loop = loop
        policy = settings.policy
    }

    package func send(_ request: HTTPRequest, done: @escaping (Result<HTTPResponse, HTTPFailure>) -> Void) {
        open += 1
        let exchange = HTTPExchange(request) { [self] result in
            done(result)
            open -= 1
            windDown()
        }
        let seconds = settings.secondsMax
        exchange.timer = loop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(seconds * 1e9))) {
            self.timeIsUp(exchange)
        }
        attempt(exchange)
    }

    /// Answers come first; `done` when no connection is open any more.
    package func close(done: @escaping () -> Void) {
        isClosing = true
        closers.append(done)
        let unused = idle.values.joined()
        idle = [:]
        idleCount = 0
        for connection in unused { connection.close() }
        loop.assumeIsolated().execute { self.windDown() }
    }

    private func windDown() {
        guard isClosing, open == 0, !closers.isEmpty else { return }
        for connection in busy.values { connection.close() }
        busy = [:]
        threads?.shutdownGracefully { _ in }
        threads = nil
        let closers = self.closers
        self.closers = []
        for closer in closers { closer() }
    }

    // MARK: Connections

    private func attempt(_ exchange: HTTPExchange) {
        let origin = exchange.request.url.origin
        if exchange.mayReuse, let connection = idle[origin]?.popLast() {
            idleCount -= 1
            if idle[origin]?.isEmpty == true { idle[origin] = nil }
            busy[ObjectIdentifier(connection)] = connection
            return connection.begin(exchange)
        }
        connect(exchange)
    }

    private func connect(_ exchange: HTTPExchange) {
        let url = exchange.request.url
        let tls = url.isSecure ? RelayTLS(host: url.host, sharing: trust.context) : nil
        let connection = HTTPConnection(self, exchange, tls: tls)
        busy[ObjectIdentifier(connection)] = connection
        let seconds = settings.connectSecondsMax
        connection.expect(within: .nanoseconds(Int64(seconds * 1e9)), loop) {
            let reason = "could not connect to \(url.origin): no connection within \(plain(seconds)) s"
            connection.giveUpOpening(.unreachable, reason)
        }
        ClientBootstrap(group: loop)
            .resolver(ScreenedResolver(policy, loop: loop, threads: resolverThreads()))
            .connectTimeout(.nanoseconds(Int64(seconds * 1e9)))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.autoRead, value: false)
            .connect(host: url.host, port: url.port)
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let channel): connection.adopt(channel)
                case .failure(let error): Self.fail(connection, error)
                }
            }
    }

    private static func fail(_ connection: HTTPConnection, _ error: any Error) {
        if let error = error as? NIOConnectionError, error.connectionErrors.isEmpty,
            let forbidden = [error.dnsAError, error.dnsAAAAError].lazy.compactMap({ $0 as? ForbiddenAddress }).first
        {
            let reason = "no connection is made to \(connection.origin): \(forbidden.reason)"
            return connection.giveUpOpening(.forbidden, reason)
        }
        let reason = "could not connect to \(connection.origin): \(Connector.reason(error))"
        connection.giveUpOpening(.unreachable, reason)
    }

    private func resolverThreads() -> NIOThreadPool {
        if let threads { return threads }
        let threads = NIOThreadPool(numberOfThreads: 4)
        threads.start()
        self.threads = threads
        return threads
    }

    // MARK: What connections tell

    /// It may be used again.
    func rest(_ connection: HTTPConnection) {
        busy[ObjectIdentifier(connection)] = nil
        let fellows = idle[connection.origin]?.count ?? 0
        guard !isClosing, fellows < Self.idleMaxPerOrigin, idleCount < Self.idleMax else { return connection.close() }
        idle[connection.origin, default: []].append(connection)
        idleCount += 1
        connection.expect(within: .seconds(Int64(Limits.idleSecondsMax)), loop) {
            self.gone(connection)
            connection.close()
        }
    }

    /// It has ended.
    func gone(_ connection: HTTPConnection) {
        busy[ObjectIdentifier(connection)] = nil
        guard let place = idle[connection.origin]?.firstIndex(where: { $0 === connection }) else { return }
        idle[connection.origin]?.remove(at: place)
        if idle[connection.origin]?.isEmpty == true { idle[connection.origin] = nil }
        idleCount -= 1
    }

    /// The exchange came to nothing there. A connection that dies on being used again says nothing of the server.
    func lost(_ exchange: HTTPExchange, _ failure: HTTPFailure, _ connection: HTTPConnection) {
        guard !exchange.isOver else { return }
        let isStale = exchange.mayReuse && (failure.kind == .unsent || failure.kind == .unanswered)
        guard isStale, !isClosing else { return exchange.answer(.failure(failure)) }
        exchange.mayReuse = false
        exchange.isSent = false
        attempt(exchange)
    }

    private func timeIsUp(_ exchange: HTTPExchange) {
        exchange.mayReuse = false
        let reason = "no answer of \(exchange.request.url.origin) within \(plain(settings.secondsMax)) s"
        for connection in busy.values { connection.timeIsUp(exchange, reason) }
        if !exchange.isOver { exchange.answer(.failure(HTTPFailure(.unreachable, reason))) }
    }
}

/// Whom TLS trusts, read once for all connections.
package struct HTTPTrust: Sendable {
    let context: NIOSSLContext

    /// - Parameter roots: a file of the authorities to trust in place of the system's, PEM.
    package init(roots: String? = nil) throws(TLSFileError) {
        var settings = TLSConfiguration.makeClientConfiguration()
        settings.minimumTLSVersion = .tlsv12
        settings.certificateVerification = .fullVerification
        settings.applicationProtocols = ["http/1.1"]
        if let roots { settings.trustRoots = .certificates(try RelayTLS.certificates(roots, "tls_roots")) }
        do {
            context = try NIOSSLContext(configuration: settings)
        } catch {
            throw TLSFileError(key: "tls_roots", reason: RelayTLS.words(error))
        }
    }
}

/// `30`, or `0.5`.
func plain(_ seconds: Double) -> String {
    seconds == seconds.rounded() ? String(Int(seconds)) : String(seconds)
}
