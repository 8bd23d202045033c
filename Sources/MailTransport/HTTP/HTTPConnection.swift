// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import NIOHTTP1
import NIOSSL
import NIOTLS

/// One connection to an origin: a request at a time, and after a whole response another one.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private enum State {
        /// TCP, then TLS, come about for the first exchange.
        case opening
        case idle
        case asking(HTTPExchange)
        case closed
    }

    let origin: String
    private let client: HTTPClient
    private let tls: RelayTLS?
    private var encrypter: NIOSSLClientHandler?
    private var state = State.opening
    private var first: HTTPExchange?
    private var context: ChannelHandlerContext?
    private(set) var link = HTTPLink()
    private var hasBeenUsed = false
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []
    private var received = 0
    private var lossReason: String?
    /// Ends an idle connection, or one that does not come about.
    private var alarm: Scheduled<Void>?

    /// - Parameter tls: nil in clear.
    init(_ client: HTTPClient, _ first: HTTPExchange, tls: RelayTLS?) {
        self.client = client
        self.first = first
        self.tls = tls
        origin = first.request.url.origin
    }

    // MARK: The client's side

    /// Puts the handlers into a connected channel.
    func adopt(_ channel: any Channel) {
        guard case .opening = state else { return channel.close(promise: nil) }
        do {
            let pipeline = channel.pipeline.syncOperations
            if let tls {
                let handler = try tls.handler()
                encrypter = handler
                try pipeline.addHandler(handler)
            }
            try pipeline.addHTTPClientHandlers(leftOverBytesStrategy: .fireError)
            try pipeline.addHandler(self)
            link.peer = channel.remoteAddress?.place
            if let address = channel.remoteAddress, let reason = client.policy.refusal(of: address) {
                return fail(.forbidden, "no connection is made to \(origin): \(reason)")
            }
            try channel.syncOptions?.setOption(.autoRead, value: true)
            if tls == nil { opened() }
        } catch {
            fail(.unreachable, "could not connect to \(origin): \(Connector.reason(error))")
        }
    }

    func giveUpOpening(_ kind: HTTPFailure.Kind, _ reason: String) {
        guard case .opening = state else { return }
        fail(kind, reason)
    }

    func expect(within time: TimeAmount, _ loop: any EventLoop, _ action: @escaping () -> Void) {
        alarm?.cancel()
        alarm = loop.assumeIsolated().scheduleTask(in: time, action)
    }

    func begin(_ exchange: HTTPExchange) {
        guard let context, case .idle = state else {
            return client.lost(exchange, HTTPFailure(.unsent, "\(origin) closed the connection", link: link), self)
        }
        alarm?.cancel()
        state = .asking(exchange)
        head = nil
        body = []
        received = 0
        let isUsed = hasBeenUsed
        hasBeenUsed = true
        exchange.mayReuse = exchange.mayReuse && isUsed
        let request = exchange.request
        context.write(wrapOutboundOut(.head(request.head)), promise: nil)
        if request.body.readableBytes > 0 {
            context.write(wrapOutboundOut(.body(.byteBuffer(request.body))), promise: nil)
        }
        let box = NIOLoopBound(exchange, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenSuccess { box.value.isSent = true }
    }

    /// Ends it, whatever it is doing; who waits for its answer has one.
    func close() {
        alarm?.cancel()
        state = .closed
        context?.close(promise: nil)
    }

    // MARK: What happens

    private func opened() {
        alarm?.cancel()
        guard case .opening = state else { return }
        state = .idle
        guard let exchange = first else { return client.rest(self) }
        first = nil
        // Its time may have been up meanwhile.
        if exchange.isOver { client.rest(self) } else { begin(exchange) }
    }

    private func fail(_ kind: HTTPFailure.Kind, _ reason: String) {
        let failure = HTTPFailure(kind, reason, link: link)
        switch state {
        case .opening:
            let exchange = first
            first = nil
            close()
            client.gone(self)
            if let exchange { client.lost(exchange, failure, self) }
        case .asking(let exchange):
            close()
            client.gone(self)
            client.lost(exchange, failure, self)
        case .idle:
            close()
            client.gone(self)
        case .closed: break
        }
    }

    private func lose(_ reason: String) {
        switch state {
        case .opening: fail(.unreachable, "could not connect to \(origin): \(reason)")
        case .asking(let exchange):
            // Its verdict is known once its head is: what is missing is text.
            if head != nil { return finish(exchange, isWhole: false) }
            fail(exchange.isSent ? .unanswered : .unsent, "lost the connection to \(origin): \(reason)")
        case .idle, .closed: fail(.unsent, reason)
        }
    }

    /// - Parameter isWhole: the end of the response has come.
    private func finish(_ exchange: HTTPExchange, isWhole: Bool) {
        guard let head else { return }
        let response = HTTPResponse(
            status: Int(head.status.code), headers: head.headers, body: body,
            isWhole: isWhole && received == body.count, link: link)
        if isWhole && head.isKeepAlive && exchange.isSent {
            state = .idle
            client.rest(self)
        } else {
            close()
            client.gone(self)
        }
        exchange.answer(.success(response))
    }

    /// Time is up for what it is doing.
    func timeIsUp(_ exchange: HTTPExchange, _ reason: String) {
        guard case .asking(let current) = state, current === exchange else { return }
        if head != nil { return finish(exchange, isWhole: false) }
        fail(exchange.isSent ? .unanswered : .unsent, reason)
    }
}

// MARK: - The channel's side

extension HTTPConnection {
    /// Past this a connection is not worth reading to its end for.
    private static let readBytesMax = 64 << 10

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event {
            link.tls = RelayTLS.name(encrypter?.tlsVersion)
            opened()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .asking(let exchange) = state else { return fail(.unsent, "it spoke unasked") }
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(let bytes):
            received += bytes.readableBytes
            let kept = exchange.request.keptBytesMax - body.count
            body.append(contentsOf: bytes.readableBytesView.prefix(max(0, kept)))
            if received > max(Self.readBytesMax, exchange.request.keptBytesMax) { finish(exchange, isWhole: false) }
        case .end: finish(exchange, isWhole: true)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        lossReason = lossReason ?? reason(error)
        // A server that closes without TLS's goodbye has still said what it said.
        if case NIOSSLError.uncleanShutdown = error { return }
        lose(lossReason ?? "")
    }

    func channelInactive(context: ChannelHandlerContext) {
        lose(lossReason ?? "the server closed it")
        context.fireChannelInactive()
    }

    private func reason(_ error: any Error) -> String {
        if error is HTTPParserError { return "what it says is no HTTP" }
        return encrypter.flatMap { tls?.reason(error, $0) } ?? Connector.reason(error)
    }
}

extension SocketAddress {
    /// `192.0.2.1:25` or `[2001:db8::1]:25`.
    var place: String? {
        ipAddress.map { $0.contains(":") ? "[\($0)]:\(port ?? 0)" : "\($0):\(port ?? 0)" }
    }
}
