// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailWire
import NIOCore
import NIOPosix

/// A Unix socket that tells how the feed fares, in Varlink: `io.maild.Feed.Status()`. On one loop.
final class StatusSocket: Sendable {
    private let path: String

    init(_ path: String) { self.path = path }

    func open(on loop: any EventLoop, status: @escaping @Sendable () -> JSONObject) throws(FeedFailure) {
        // What a feed before this one left behind; a living one is kept from here by systemd, one instance a name.
        unlink(path)
        do {
            _ = try ServerBootstrap(group: loop)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(StatusHandler(status))
                    }
                }
                .bind(unixDomainSocketPath: path).wait()
        } catch {
            throw .system("cannot serve \(path): \(Reason.of(error))")
        }
        // Who may see is for the directory to say: RuntimeDirectoryMode= of the unit.
        chmod(path, 0o666)
    }

    func remove() { unlink(path) }
}

private final class StatusHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let status: @Sendable () -> JSONObject
    private var framer = Framer.varlink(bytesMax: 64 << 10)

    init(_ status: @escaping @Sendable () -> JSONObject) { self.status = status }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        framer.append(unwrapInboundIn(data).readableBytesView)
        do {
            while let message = try framer.next() {
                let reply = answer(try VarlinkCall(parsing: message))
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: reply.bytes)), promise: nil)
            }
        } catch {
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ call: VarlinkCall) -> VarlinkReply {
        switch call.method {
        case "io.maild.Feed.Status": VarlinkReply(status())
        default:
            VarlinkReply(
                ["method": .string(call.method)], error: "org.varlink.service.MethodNotFound")
        }
    }
}
