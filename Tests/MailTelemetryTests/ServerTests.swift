// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailTelemetry
import NIOCore
import NIOPosix
import Testing

/// A client that writes what it likes and reads until the end.
private struct Client {
    struct Refused: Error {}

    let descriptor: CInt

    /// - Parameter host: the last octet of an address of the loopback network.
    init(port: Int, host: UInt32 = 1) throws {
        descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0000 + host).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Refused() }
        // No test hangs for ever.
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = send(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL))
    }

    func finishWriting() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// What comes until the server closes; nil where it has not within 20 seconds.
    func readToEnd() -> String? {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0 { return errno == ECONNRESET ? String(decoding: all, as: UTF8.self) : nil }
            if count == 0 { return String(decoding: all, as: UTF8.self) }
            all.append(contentsOf: chunk[..<count])
        }
    }

    /// What comes until `end` has come.
    func read(until end: String) -> String? {
        var all: [UInt8] = []
        var byte: UInt8 = 0
        while !all.suffix(end.utf8.count).elementsEqual(end.utf8) {
            guard recv(descriptor, &byte, 1, 0) == 1 else { return nil }
            all.append(byte)
        }
        return String(decoding: all, as: UTF8.self)
    }

    func close() { Glibc.close(descriptor) }
}

@Suite("The metrics server") struct ServerTests {
    private let stage = Stage()

    /// Runs `body` with the port of a server on a thread of its own.
    private func serving(_ body: (Int) async throws -> Void) async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        stage.gauges.change { ($0.ready, $0.healthy) = (true, true) }
        let server = MetricsServer(events: stage.events, gauges: stage.gauges, on: loop)
        let channel = try await server.bind(host: "127.0.0.1", port: 0).get()
        do {
            try await body(channel.localAddress?.port ?? 0)
        } catch {
            try await server.close().get()
            throw error
        }
        try await server.close().get()
    }

    @Test("GET is answered and the connection kept")
    func keepAlive() async throws {
        try await serving { port in
            let client = try Client(port: port)
            defer { client.close() }
            for _ in 0..<3 {
                client.write("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n")
                let answer = try #require(client.read(until: "\r\n\r\nready\n"))
                #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(answer.contains("\r\nContent-Length: 6\r\n"))
                #expect(answer.contains("\r\nX-Content-Type-Options: nosniff\r\n"))
            }
        }
    }

    @Test("HEAD has the head of GET and no body")
    func head() async throws {
        try await serving { port in
            let client = try Client(port: port)
            defer { client.close() }
            client.write("HEAD /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let answer = try #require(client.readToEnd())
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.contains("\r\nContent-Length: 6\r\n"))
            #expect(answer.hasSuffix("\r\n\r\n"))
        }
    }

    @Test(
        "each odd request has its answer, and the connection ends",
        arguments: [
            ("this is no HTTP\r\n\r\n", "HTTP/1.1 400 "),
            ("GET /-/ready HTTP/1.0\r\n\r\n", "HTTP/1.0 200 "),
            ("POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 405 "),
            ("GET /\(String(repeating: "x", count: 17_000)) HTTP/1.1\r\n\r\n", "HTTP/1.1 431 "),
            ("GET / HTTP/1.1\r\nX: \(String(repeating: "x", count: 17_000))\r\n\r\n", "HTTP/1.1 431 "),
            (
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n\(String(repeating: "x", count: 20_000))",
                "HTTP/1.1 431 "
            ),
        ])
    func odd(request: String, start: String) async throws {
        try await serving { port in
            let client = try Client(port: port)
            defer { client.close() }
            client.write(request)
            let answer = try #require(client.readToEnd())
            #expect(answer.hasPrefix(start))
        }
    }

    @Test("who has shut down its writing side still gets its answer")
    func halfClosed() async throws {
        try await serving { port in
            let client = try Client(port: port)
            defer { client.close() }
            client.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            client.finishWriting()
            let answer = try #require(client.readToEnd())
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.contains("\nmaild_ready 1\n"))
        }
    }

    @Test("requests sent at once are answered in order")
    func pipelined() async throws {
        try await serving { port in
            let client = try Client(port: port)
            defer { client.close() }
            client.write("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            client.write("GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let answer = try #require(client.readToEnd())
            #expect(answer.matches(of: /HTTP\/1\.1 ([0-9]+)/).map { String($0.1) } == ["200", "404", "200"])
            #expect(answer.hasSuffix("\r\n\r\nhealthy\n"))
        }
    }

    @Test("over the bound the connection that was silent for longest makes room")
    func bound() async throws {
        try await serving { port in
            var clients: [Client] = []
            defer { for client in clients { client.close() } }
            for _ in 0..<OpenConnections.connectionsMax + 1 {
                let client = try Client(port: port)
                clients.append(client)
                client.write("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(client.read(until: "ready\n") != nil)
            }
            #expect(clients[0].readToEnd() == "")
            clients[1].write("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(clients[1].read(until: "ready\n") != nil)
        }
    }

    @Test("a listening socket that was made elsewhere is served")
    func adopted() async throws {
        let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        listen(listener, 8)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let server = MetricsServer(events: stage.events, gauges: stage.gauges, on: loop)
        let channel = try await server.adopt(listener).get()
        let client = try Client(port: channel.localAddress?.port ?? 0)
        defer { client.close() }
        client.write("GET /-/ready HTTP/1.1\r\nConnection: close\r\n\r\n")
        #expect(try #require(client.readToEnd()).hasPrefix("HTTP/1.1 503 "))
        try await server.close().get()
    }

    @Test("close ends listening and all connections")
    func closing() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let server = MetricsServer(events: stage.events, gauges: stage.gauges, on: loop)
        // An address of its own: on 127.0.0.1 a test beside this one may be given the port as soon as it is free.
        let channel = try await server.bind(host: "127.0.0.77", port: 0).get()
        let port = channel.localAddress?.port ?? 0
        let client = try Client(port: port, host: 77)
        defer { client.close() }
        client.write("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(client.read(until: "not healthy\n") != nil)
        try await server.close().get()
        #expect(client.readToEnd() == "")
        #expect(throws: Client.Refused.self) { try Client(port: port, host: 77) }
    }
}
