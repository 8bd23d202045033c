// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailIntake
import NIOCore
import NIOPosix
import TestSupport
import Testing

/// Notes each read, with what was shown before it.
private final class Reads: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer

    private let lookAhead: LookAhead
    private let seen: Watched<[(bytes: Int, rights: SocketView.Rights)]>

    init(_ lookAhead: LookAhead, _ seen: Watched<[(bytes: Int, rights: SocketView.Rights)]>) {
        self.lookAhead = lookAhead
        self.seen = seen
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data).readableBytes
        let rights = lookAhead.take(read: bytes)
        for number in rights.numbers { close(number) }
        seen.change { $0.append((bytes, rights)) }
    }
}

/// What decision 0032 rests on: NIO asks for a buffer once before each read, and reads no more than fits.
@Suite("The look ahead before NIO reads", .timeLimit(.minutes(1)))
struct LookAheadTests {
    @Test("each read takes exactly what was shown, and ends behind the piece that had descriptors", arguments: 0..<3)
    func reads(seed: Int) async throws {
        var ends: [CInt] = [-1, -1]
        #expect(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let client = Client(ends[0])
        let seen = Watched<[(bytes: Int, rights: SocketView.Rights)]>([])
        // All is there before the first read: so reads could take several pieces.
        var pieces: [(bytes: Int, count: Int)] = []
        let file = PassedFile([1])
        for number in 0..<18 {
            let piece = (bytes: 1 + (number * 769 + seed * 97) % 3000, count: (number + seed) % 3)
            let text = String(repeating: "x", count: piece.bytes)
            let files = [PassedFile](repeating: file, count: piece.count)
            #expect(files.isEmpty ? client.write(text) : client.write(text, passing: files))
            pieces.append(piece)
        }
        client.finish()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let lookAhead = try #require(try LookAhead.install(in: channel, SocketView()))
                    try channel.pipeline.syncOperations.addHandler(Reads(lookAhead, seen))
                }
            }
            .withConnectedSocket(ends[1]).get()
        try await channel.closeFuture.get()
        var wanted: [(bytes: Int, count: Int)] = []
        var bytes = 0
        for piece in pieces {
            bytes += piece.bytes
            if piece.count > 0 { wanted.append((bytes, piece.count)) }
            if piece.count > 0 { bytes = 0 }
        }
        if bytes > 0 { wanted.append((bytes, 0)) }
        let reads = seen.value
        #expect(reads.map(\.bytes) == wanted.map(\.bytes))
        #expect(reads.map(\.rights.numbers.count) == wanted.map(\.count))
        #expect(reads.allSatisfy { !$0.rights.isCut })
    }
}
