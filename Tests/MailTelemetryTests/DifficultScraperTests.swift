// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTelemetry
import NIOCore
import NIOEmbedded
import Testing

/// Holds back what the server writes, as the socket of a client that does not read.
private final class Dam: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    private var held: [(data: NIOAny, promise: EventLoopPromise<Void>?)] = []
    var isOpen = false

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if isOpen { context.write(data, promise: promise) } else { held.append((data, promise)) }
    }

    func open(_ context: ChannelHandlerContext) {
        isOpen = true
        for write in held { context.write(write.data, promise: write.promise) }
        held = []
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        for write in held { write.promise?.fail(ChannelError.ioOnClosedChannel) }
        held = []
        context.close(mode: mode, promise: promise)
    }
}

@Suite("Difficult clients of the metrics server") struct DifficultScraperTests {
    private let stage = Stage()
    private let dam = Dam()
    private let channel = EmbeddedChannel()
    private static let request = "GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n"

    init() throws {
        let routes = MetricsRoutes(events: stage.events, gauges: stage.gauges)
        try channel.pipeline.syncOperations.addHandler(dam)
        try MetricsServer.furnish(channel, routes, RequestTimes(), OpenConnections())
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    private func receive(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }

    private func openDam() throws { dam.open(try channel.pipeline.syncOperations.context(handler: dam)) }

    /// All that the server has written so far.
    private func answers() throws -> String {
        var text = ""
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
        return text
    }

    @Test("while an answer is not read no other is made, and past a few waiting requests the connection ends")
    func greedy() throws {
        try receive(String(repeating: Self.request, count: MetricsHandler.waitingMax + 1))
        #expect(stage.gauges.asked == 1)
        #expect(channel.isActive)
        try receive(Self.request)
        #expect(stage.gauges.asked == 1)
        #expect(!channel.isActive)
    }

    @Test("requests that waited are answered when the answers leave")
    func patient() throws {
        try receive(String(repeating: Self.request, count: 5))
        try openDam()
        #expect(try answers().ranges(of: "HTTP/1.1 503 ").count == 5)
        #expect(stage.gauges.asked == 5)
        #expect(channel.isActive)
    }

    @Test("a request must become whole within its time, however slowly it drips")
    func dripping() throws {
        try openDam()
        for character in "GET / HTT" {
            try receive(String(character))
            channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        }
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!channel.isActive)
    }

    @Test("an answer must be read within its time")
    func notReading() throws {
        try receive(Self.request)
        channel.embeddedEventLoop.advanceTime(by: .seconds(29))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!channel.isActive)
    }

    @Test("a connection is kept between scrapes of a minute, but not for ever")
    func silence() throws {
        try openDam()
        for _ in 0..<3 {
            try receive(Self.request)
            #expect(try answers().hasPrefix("HTTP/1.1 503 "))
            channel.embeddedEventLoop.advanceTime(by: .seconds(119))
            #expect(channel.isActive)
        }
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!channel.isActive)
    }

    @Test("headers without end are refused before they fill the memory")
    func endlessHeaders() throws {
        try openDam()
        try receive("GET / HTTP/1.1\r\n")
        var count = 0
        while channel.isActive, count < 1000 {
            try receive("X-\(count): \(String(repeating: "x", count: 90))\r\n")
            count += 1
        }
        #expect(count < 200)
        #expect(try answers().hasPrefix("HTTP/1.1 431 "))
    }
}
