// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// How long a client may take for what.
package struct RequestTimes: Sendable {
    /// From the first byte of a request to its last.
    package var request = TimeAmount.seconds(10)
    /// Without a request: longer than Prometheus' usual interval of a minute, so that it can keep its connection.
    package var silence = TimeAmount.seconds(120)
    /// For an answer to be read.
    package var answer = TimeAmount.seconds(30)

    package init() {}
}

/// Bounds what a client may cost: bytes of a request and time. Stands before the HTTP decoder and sees plain bytes.
final class RequestBound: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A scrape's request has some 500 bytes, a browser's with its cookies some thousands.
    static let requestBytesMax = 16 << 10

    private let times: RequestTimes
    private var deadline: Scheduled<Void>?
    private var bytes = 0
    private(set) var isBetweenRequests = true
    private(set) var lastMoved = NIODeadline.now()

    init(_ times: RequestTimes) { self.times = times }

    func channelActive(context: ChannelHandlerContext) {
        expect(within: times.silence, context.channel)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isBetweenRequests {
            isBetweenRequests = false
            expect(within: times.request, context.channel)
        }
        bytes += unwrapInboundIn(data).readableBytes
        guard bytes <= Self.requestBytesMax else { return refuse(context) }
        context.fireChannelRead(data)
    }

    /// The request is whole and its answer on the way.
    func answering(_ channel: any Channel) {
        bytes = 0
        isBetweenRequests = false
        expect(within: times.answer, channel)
    }

    /// The client has the answer.
    func answered(_ channel: any Channel) {
        isBetweenRequests = true
        expect(within: times.silence, channel)
    }

    private func expect(within time: TimeAmount, _ channel: any Channel) {
        lastMoved = .now()
        deadline?.cancel()
        deadline = channel.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
    }

    private func refuse(_ context: ChannelHandlerContext) {
        // RFC 6585 §5.
        let answer = """
            HTTP/1.1 431 Request Header Fields Too Large\r
            Content-Length: 0\r
            Connection: close\r
            \r

            """
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer))).whenComplete { _ in
            channel.close(promise: nil)
        }
    }
}
