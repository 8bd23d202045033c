// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore
import NIOPosix

/// A connection to one of maild's sockets: messages come out whole, and it connects again by itself. On one loop.
final class MaildLink: @unchecked Sendable {
    /// What ends a message: LF on the submission socket, NUL on the control socket.
    enum Framing {
        case lines, varlink
    }

    private let path: String
    private let loop: any EventLoop
    private let framing: Framing
    private var channel: (any Channel)?
    private var backoff = Backoff(longest: 5)
    private var isStopped = false
    private var pending = ByteBuffer()
    var opened: () -> Void = {}
    var lost: (_ reason: String) -> Void = { _ in }
    var received: ([UInt8]) -> Void = { _ in }
    /// All that one read brought was received.
    var receivedAll: () -> Void = {}

    init(_ path: String, _ framing: Framing, on loop: any EventLoop) {
        self.path = path
        self.framing = framing
        self.loop = loop
    }

    func connect() {
        guard !isStopped else { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(MaildHandler(bound.value, bound.value.framer))
                }
            }
            .connect(unixDomainSocketPath: path)
            .whenFailure { error in bound.value.failed(Reason.of(error)) }
    }

    private var framer: Framer {
        switch framing {
        // An answer has some hundred bytes; one with a recipient each, a thousand times as much.
        case .lines: .lines(bytesMax: 4 << 20)
        case .varlink: .varlink(bytesMax: 4 << 20)
        }
    }

    /// Goes out with the next `flush`.
    func write(_ bytes: [UInt8]) { pending.writeBytes(bytes) }

    func flush() {
        guard pending.readableBytes > 0 else { return }
        channel?.writeAndFlush(pending, promise: nil)
        pending = ByteBuffer()
    }

    /// The other side said what makes no sense, or fell silent: from the start again.
    func reconnect() { channel?.close(promise: nil) }

    func stop() {
        isStopped = true
        channel?.close(promise: nil)
    }

    fileprivate func active(_ channel: any Channel) {
        guard !isStopped else { return channel.close(promise: nil) }
        self.channel = channel
        pending.clear()
        opened()
        flush()
    }

    fileprivate func gone(_ reason: String) {
        guard channel != nil else { return }
        channel = nil
        failed(reason)
    }

    /// maild accepts a connection before it knows whether it wants it: only what it says shows that it does.
    fileprivate func heard(_ message: [UInt8]) {
        backoff.succeeded()
        received(message)
    }

    private func failed(_ reason: String) {
        pending.clear()
        // The end that we made ourselves is no news.
        guard !isStopped else { return }
        lost(reason)
        let bound = NIOLoopBound(self, eventLoop: loop)
        let wait = backoff.next(chance: .random(in: 0..<1))
        loop.scheduleTask(in: .milliseconds(Int64(wait * 1000))) { bound.value.connect() }
    }
}

private final class MaildHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let link: MaildLink
    private var framer: Framer
    private var reason = "maild closed the connection"

    init(_ link: MaildLink, _ framer: Framer) {
        self.link = link
        self.framer = framer
    }

    func channelActive(context: ChannelHandlerContext) { link.active(context.channel) }

    func channelInactive(context: ChannelHandlerContext) { link.gone(reason) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        framer.append(unwrapInboundIn(data).readableBytesView)
        do throws(Framer.TooLong) {
            while let message = try framer.next() { link.heard(message) }
        } catch {
            reason = "maild said more than anybody could mean"
            context.close(promise: nil)
        }
        link.receivedAll()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        reason = Reason.of(error)
        context.close(promise: nil)
    }
}
