// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import NIOSSL

/// A small SMTP server on loopback, of the test's own process, that misbehaves where it is told to.
final class ScriptedServer: Sendable {
    /// Where a connection is closed by the server, or refused.
    enum Death: String, CaseIterable, Sendable {
        case greeting, hello, mail, recipient, data, body, end
    }

    struct Script: Sendable {
        var pipelining = true
        /// Connection (from 0) and the step at which it dies instead of answering.
        var death: (connection: Int, at: Death)?
        /// Offered by STARTTLS, or there from the first octet.
        var tls: (context: NIOSSLContext, isImplicit: Bool)?
    }

    /// What came in, readable once the relay is done.
    struct Log: Sendable {
        var connections = 0
        var goodbyes = 0
        /// Messages as they were meant: dots undone, lines ended by CRLF.
        var messages: [ByteBuffer] = []
    }

    private let channel: any Channel
    private let log: NIOLoopBound<LogBook>
    let port: Int

    final class LogBook { var log = Log() }

    /// Runs on `loop`.
    static func start(
        _ script: Script, on loop: any EventLoop, host: String = "127.0.0.1", socket: String? = nil
    ) async throws -> ScriptedServer {
        let log = try await loop.submit { NIOLoopBound(LogBook(), eventLoop: loop) }.get()
        let bootstrap = ServerBootstrap(group: loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let number = log.value.log.connections
                    log.value.log.connections += 1
                    if let tls = script.tls, tls.isImplicit {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls.context))
                    }
                    try channel.pipeline.syncOperations.addHandler(Session(script, number: number, log.value))
                }
            }
        let bound = socket.map { bootstrap.bind(unixDomainSocketPath: $0) } ?? bootstrap.bind(host: host, port: 0)
        let channel = try await bound.get()
        return ScriptedServer(channel, log)
    }

    private init(_ channel: any Channel, _ log: NIOLoopBound<LogBook>) {
        self.channel = channel
        self.log = log
        port = channel.localAddress?.port ?? 0
    }

    func stop() async throws -> Log {
        try await channel.close().get()
        let log = self.log
        return try await channel.eventLoop.submit { log.value.log }.get()
    }

    private final class Session: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let script: Script
        private let number: Int
        private let log: LogBook
        private var input = ByteBuffer()
        private var message: ByteBuffer?
        private lazy var isEncrypted = script.tls?.isImplicit ?? false

        init(_ script: Script, number: Int, _ log: LogBook) {
            self.script = script
            self.number = number
            self.log = log
        }

        func channelActive(context: ChannelHandlerContext) { answer(.greeting, "220 scripted", context) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var data = unwrapInboundIn(data)
            input.writeBuffer(&data)
            while let line = nextLine() { handle(line, context) }
        }

        /// Without its CRLF; nil where it is not whole.
        private func nextLine() -> ByteBuffer? {
            let view = input.readableBytesView
            var from = view.startIndex
            while let end = view[from...].firstIndex(of: 0x0A) {
                if end > view.startIndex, view[end - 1] == 0x0D {
                    let line = input.readSlice(length: end - 1 - view.startIndex)
                    input.moveReaderIndex(forwardBy: 2)
                    return line
                }
                from = end + 1
            }
            return nil
        }

        private func handle(_ line: ByteBuffer, _ context: ChannelHandlerContext) {
            guard message == nil else { return takeBody(line, context) }
            switch String(buffer: line).prefix(4) {
            case "EHLO": answer(.hello, extensions, context)
            case "STAR": encrypt(context)
            case "MAIL": answer(.mail, "250 2.1.0 ok", context)
            case "RCPT": answer(.recipient, "250 2.1.5 ok", context)
            case "DATA":
                answer(.data, "354 go", context)
                message = ByteBuffer()
            case "QUIT":
                log.log.goodbyes += 1
                write("221 bye", context)
                context.close(promise: nil)
            default: write("500 what?", context)
            }
        }

        private var extensions: String {
            let offersTLS = script.tls != nil && !isEncrypted
            let names = ["scripted"] + (offersTLS ? ["STARTTLS"] : []) + (script.pipelining ? ["PIPELINING"] : [])
            return names.dropLast().map { "250-\($0)\r\n" }.joined() + "250 \(names[names.count - 1])"
        }

        private func encrypt(_ context: ChannelHandlerContext) {
            guard let tls = script.tls else { return write("502 no", context) }
            write("220 go", context)
            isEncrypted = true
            try? context.pipeline.syncOperations.addHandler(
                NIOSSLServerHandler(context: tls.context), position: .first)
        }

        private func takeBody(_ line: ByteBuffer, _ context: ChannelHandlerContext) {
            if dies(at: .body) { return context.close(promise: nil) }
            var line = line
            guard line.readableBytesView.first == 0x2E else {
                message?.writeBuffer(&line)
                message?.writeStaticString("\r\n")
                return
            }
            line.moveReaderIndex(forwardBy: 1)
            guard line.readableBytes == 0 else {
                message?.writeBuffer(&line)
                message?.writeStaticString("\r\n")
                return
            }
            if let message, !dies(at: .end) { log.log.messages.append(message) }
            message = nil
            answer(.end, "250 2.0.0 taken", context)
        }

        private func dies(at step: Death) -> Bool { script.death.map { $0 == (number, step) } ?? false }

        private func answer(_ step: Death, _ line: String, _ context: ChannelHandlerContext) {
            if dies(at: step) { context.close(promise: nil) } else { write(line, context) }
        }

        private func write(_ line: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: line + "\r\n")), promise: nil)
        }
    }
}
