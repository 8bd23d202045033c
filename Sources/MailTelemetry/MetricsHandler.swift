// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// One client of the metrics server: answers its requests one after the other.
///
/// The next answer is made only when the last one has left, so that a client that asks and never reads costs one answer
/// and not a thousand.
package final class MetricsHandler: ChannelInboundHandler {
    package typealias InboundIn = HTTPServerRequestPart
    package typealias OutboundOut = HTTPServerResponsePart

    /// Requests that wait for their turn. Neither Prometheus nor a browser sends a second one before the answer.
    package static let waitingMax = 16

    private let routes: any HTTPRoutes
    private let bound: RequestBound
    private var incoming: HTTPRequestHead?
    private var waiting: [HTTPRequestHead] = []
    private var isAnswering = false
    private var isClosing = false

    init(_ routes: any HTTPRoutes, _ bound: RequestBound) {
        self.routes = routes
        self.bound = bound
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): incoming = head
        case .body: break
        case .end:
            guard let head = incoming, !isClosing else { return }
            incoming = nil
            received(head, context)
        }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            isClosing = true
            if !isAnswering { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// The connection broke, or what came was no HTTP and has been answered.
    package func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func received(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard isAnswering else { return answer(head, context) }
        guard waiting.count < Self.waitingMax else { return context.close(promise: nil) }
        waiting.append(head)
    }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        isAnswering = true
        bound.answering(context.channel)
        let answer = routes.answer(
            head.method, head.uri, accept: head.headers[canonicalForm: "accept"].joined(separator: ","),
            encoding: head.headers[canonicalForm: "accept-encoding"].joined(separator: ","))
        let closing = !head.isKeepAlive
        let version = head.version.major == 1 ? head.version : .http1_1
        context.write(wrapOutboundOut(.head(answer.head(version: version, closing: closing))), promise: nil)
        if head.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil)
        }
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { result in
            let (handler, context) = loopBound.value
            handler.answered(context, last: closing || !result.isSuccess)
        }
    }

    private func answered(_ context: ChannelHandlerContext, last: Bool) {
        isAnswering = false
        if last { waiting = [] }
        if !waiting.isEmpty {
            answer(waiting.removeFirst(), context)
        } else if last || isClosing {
            context.close(promise: nil)
        } else {
            bound.answered(context.channel)
        }
    }
}

extension Result {
    fileprivate var isSuccess: Bool { if case .success = self { true } else { false } }
}
