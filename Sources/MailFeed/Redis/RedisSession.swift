// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import NIOCore
import NIOPosix
import NIOSSL

/// Who we are at a Redis server.
struct RedisLogin: Sendable {
    var user: String?
    var password: String?
    var database: Int
    /// CLIENT SETNAME takes no blanks.
    var name: String
}

/// One connection to a Redis server: commands go out in one order, replies come in the same. On one loop.
final class RedisSession: @unchecked Sendable {
    struct Failed: Error, CustomStringConvertible {
        var description: String
    }

    private let channel: any Channel
    private let closed: (String) -> Void
    private var parser = RESPParser()
    private var waiting: CircularBuffer<(RESPValue) -> Void> = []
    private var outgoing = ByteBuffer()
    private var isFlushing = false
    private(set) var isOpen = true

    private init(_ channel: any Channel, closed: @escaping (String) -> Void) {
        self.channel = channel
        self.closed = closed
    }

    static let connectSeconds: Int64 = 10

    /// Connects and logs in. `done` comes once, `closed` at most once, after a `done` that brought a session.
    static func open(
        _ settings: RedisSettings, _ login: RedisLogin, _ tls: NIOSSLContext?, on loop: any EventLoop,
        closed: @escaping (String) -> Void, done: @escaping (Result<RedisSession, Failed>) -> Void
    ) {
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(.seconds(connectSeconds))
        let connecting: EventLoopFuture<any Channel>
        if let socket = settings.socket {
            connecting = bootstrap.connect(unixDomainSocketPath: socket)
        } else {
            let host = settings.server.host
            connecting = bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard let tls else { return }
                        // RFC 6066 §3: an address is no server name.
                        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
                        let handler = try NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : host)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
                .connect(host: host, port: settings.server.port)
        }
        let closed = NIOLoopBound(closed, eventLoop: loop)
        let done = NIOLoopBound(done, eventLoop: loop)
        connecting.whenComplete { result in
            switch result {
            case .failure(let error): done.value(.failure(Failed(description: Reason.of(error))))
            case .success(let channel):
                let session = RedisSession(channel, closed: closed.value)
                session.begin(login, done.value)
            }
        }
    }

    private func begin(_ login: RedisLogin, _ done: @escaping (Result<RedisSession, Failed>) -> Void) {
        var isDone = false
        let once = { (result: Result<RedisSession, Failed>) in
            guard !isDone else { return }
            isDone = true
            done(result)
        }
        failed = { once(.failure(Failed(description: $0))) }
        do {
            try channel.pipeline.syncOperations.addHandler(RedisHandler(self))
        } catch {
            return once(.failure(Failed(description: Reason.of(error))))
        }
        greet(login) { [self] error in
            guard let error else {
                failed = nil
                return once(.success(self))
            }
            once(.failure(Failed(description: error)))
            close()
        }
    }

    /// Until the session is there: whom to tell that it will not be.
    private var failed: ((String) -> Void)?

    private func greet(_ login: RedisLogin, _ done: @escaping (String?) -> Void) {
        var hello = ["HELLO", "3"]
        if let password = login.password { hello += ["AUTH", login.user ?? "default", password] }
        send(hello) { [self] reply in
            guard case .error(let text) = reply else { return select(login, done) }
            // A server before Redis 6, or something that speaks RESP2 alone.
            guard text.hasPrefix("ERR unknown command") || text.hasPrefix("NOPROTO") else { return done(text) }
            guard let password = login.password else { return select(login, done) }
            send(["AUTH"] + (login.user.map { [$0] } ?? []) + [password]) { [self] reply in
                if case .error(let text) = reply { return done(text) }
                select(login, done)
            }
        }
    }

    private func select(_ login: RedisLogin, _ done: @escaping (String?) -> Void) {
        send(["CLIENT", "SETNAME", String(login.name.map { $0.isWhitespace ? "-" : $0 })]) { _ in }
        guard login.database > 0 else { return done(nil) }
        send(["SELECT", "\(login.database)"]) { reply in
            if case .error(let text) = reply { return done(text) }
            done(nil)
        }
    }

    /// Goes out with all that is sent in this turn of the loop. The reply never comes where the connection breaks.
    func send(_ words: [String], _ reply: @escaping (RESPValue) -> Void) {
        send(RESPCommand.bytes(words), reply)
    }

    func send(_ command: [UInt8], _ reply: @escaping (RESPValue) -> Void) {
        guard isOpen else { return }
        waiting.append(reply)
        outgoing.writeBytes(command)
        guard !isFlushing else { return }
        isFlushing = true
        let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
        channel.eventLoop.execute { bound.value.flush() }
    }

    private func flush() {
        isFlushing = false
        guard outgoing.readableBytes > 0 else { return }
        channel.writeAndFlush(outgoing, promise: nil)
        outgoing = ByteBuffer()
    }

    func close() { channel.close(promise: nil) }

    fileprivate func received(_ buffer: ByteBuffer) {
        parser.append(buffer.readableBytesView)
        do throws(RESPParser.Fault) {
            while let value = try parser.next() {
                // Without a question: a push message of RESP3, of which we ordered none.
                waiting.popFirst()?(value)
            }
        } catch {
            gone("it does not speak Redis' protocol: \(error.reason)")
            close()
        }
    }

    fileprivate func gone(_ reason: String) {
        guard isOpen else { return }
        isOpen = false
        waiting.removeAll()
        if let failed {
            self.failed = nil
            return failed(reason)
        }
        closed(reason)
    }
}

private final class RedisHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let session: RedisSession
    private var reason = "the server closed it"

    init(_ session: RedisSession) { self.session = session }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { session.received(unwrapInboundIn(data)) }

    func channelInactive(context: ChannelHandlerContext) { session.gone(reason) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        reason = Reason.of(error)
        context.close(promise: nil)
    }
}
