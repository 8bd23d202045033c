// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import NIOPosix
import Testing

@Suite("Over real sockets")
struct RelayLoopbackTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    /// Sends the messages, `together` at a time, closes the relay, and answers each one's outcomes in their order.
    private func deliver(
        _ messages: [ByteBuffer], port: Int, host: String = "127.0.0.1", together: Int, connectionsMax: Int,
        socket: String? = nil, resolver: Names? = nil
    ) async throws -> [[Outcome]] {
        let loop = self.loop
        let promise = loop.makePromise(of: [[Outcome]].self)
        try await loop.submit {
            var configuration = RelayConfiguration(name: "test", host: host, port: port, ehloName: "client.example")
            configuration.connectionsMax = connectionsMax
            configuration.socket = socket
            let run = Run(SMTPRelay(configuration, loop: loop, connector: .system(resolver: resolver)), messages, promise)
            for _ in 0..<together { run.sendNext() }
        }.get()
        return try await promise.futureResult.get()
    }

    private final class Run {
        let relay: SMTPRelay
        let messages: [ByteBuffer]
        let promise: EventLoopPromise<[[Outcome]]>
        var outcomes: [[Outcome]]
        var next = 0
        var answeredCount = 0

        init(_ relay: SMTPRelay, _ messages: [ByteBuffer], _ promise: EventLoopPromise<[[Outcome]]>) {
            self.relay = relay
            self.messages = messages
            self.promise = promise
            outcomes = messages.map { _ in [] }
        }

        func sendNext() {
            guard next < messages.count else { return }
            let number = next
            next += 1
            let mail = Mail(
                job: JobID(raw: Int64(number)), sender: "a@example.org", recipients: ["b@example.com"],
                message: messages[number], needs8BitMIME: false)
            relay.send(mail) { self.answered(number, $0) }
        }

        private func answered(_ number: Int, _ outcome: Outcome) {
            outcomes[number].append(outcome)
            answeredCount += 1
            sendNext()
            if answeredCount == messages.count { relay.close { self.promise.succeed(self.outcomes) } }
        }
    }

    @Test("twenty mails one after the other need one connection and one QUIT", arguments: [true, false])
    func reuse(pipelining: Bool) async throws {
        let server = try await ScriptedServer.start(.init(pipelining: pipelining), on: loop)
        let messages = (0..<20).map { ByteBuffer(string: "mail \($0)\r\n") }
        let outcomes = try await deliver(messages, port: server.port, together: 1, connectionsMax: 4)
        let log = try await server.stop()
        #expect(outcomes.allSatisfy { $0.map(\.verdicts) == [[.delivered(Reply(250, "2.0.0", "taken"))]] })
        #expect(outcomes[0].first?.peer == "127.0.0.1:\(server.port)")
        #expect(log.connections == 1 && log.goodbyes == 1)
        #expect(log.messages == messages)
    }

    @Test("a Unix socket is a relay like any other, named by its path")
    func unixSocket() async throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/smtp"
        let server = try await ScriptedServer.start(.init(), on: loop, socket: path)
        let messages = (0..<3).map { ByteBuffer(string: "mail \($0)\r\n") }
        let outcomes = try await deliver(messages, port: 0, together: 1, connectionsMax: 1, socket: path)
        #expect(try await server.stop().messages == messages)
        #expect(outcomes.allSatisfy { $0.first?.verdicts[0].name == "delivered" && $0.first?.peer == path })
        let gone = try await deliver([messages[0]], port: 0, together: 1, connectionsMax: 1, socket: path + "-gone")
        let reply = try #require(gone[0].first?.verdicts[0].reply)
        #expect(reply == Reply(451, "4.4.1", "could not connect to \(path)-gone: No such file or directory"))
    }

    /// Answers in place of the DNS; an answer that is nil never comes.
    private struct Names: Resolver, Sendable {
        let loop: any EventLoop
        var six: [SocketAddress]?
        var four: [SocketAddress]?

        func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { answer(four) }
        func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { answer(six) }
        func cancelQueries() {}

        /// What never comes comes once everyone has stopped listening: a promise must not be left.
        private func answer(_ addresses: [SocketAddress]?) -> EventLoopFuture<[SocketAddress]> {
            if let addresses { return loop.makeSucceededFuture(addresses) }
            let promise = loop.makePromise(of: [SocketAddress].self)
            loop.scheduleTask(in: .seconds(20)) { promise.succeed([]) }
            return promise.futureResult
        }
    }

    @Test(
        "RFC 8305: a name's addresses are tried, IPv6 first, until one answers, whatever the others do",
        arguments: ["::1 refuses", "::1 refuses, 127.0.0.2 too", "IPv6 is never resolved", "IPv4 is not there"])
    func addresses(what: String) async throws {
        let server = try await ScriptedServer.start(.init(), on: loop, host: what.hasPrefix("IPv4") ? "::1" : "127.0.0.1")
        let four = try SocketAddress(ipAddress: "127.0.0.1", port: server.port)
        let six = try SocketAddress(ipAddress: "::1", port: server.port)
        let deaf = try SocketAddress(ipAddress: "127.0.0.2", port: server.port)
        var names = Names(loop: loop)
        switch what {
        case "::1 refuses": (names.six, names.four) = ([six], [four])
        case "::1 refuses, 127.0.0.2 too": (names.six, names.four) = ([six], [deaf, four])
        case "IPv6 is never resolved": (names.six, names.four) = (nil, [four])
        default: (names.six, names.four) = ([six], [])
        }
        let outcomes = try await deliver(
            [ByteBuffer(string: "hi\r\n")], port: server.port, host: "mx.example", together: 1, connectionsMax: 1,
            resolver: names)
        _ = try await server.stop()
        let outcome = try #require(outcomes[0].first)
        #expect(outcome.verdicts[0].name == "delivered", "\(outcome.verdicts)")
        let address = what.hasPrefix("IPv4") ? "[::1]" : "127.0.0.1"
        #expect(outcome.peer == "\(address):\(server.port)")
    }

    @Test("mails chained on few connections arrive whole, each once", arguments: [1, 3])
    func chained(connectionsMax: Int) async throws {
        let server = try await ScriptedServer.start(.init(), on: loop)
        let messages = (0..<300).map { ByteBuffer(string: "mail \($0)\r\n.\r\n..dots\r\n\r\n") }
        let outcomes = try await deliver(messages, port: server.port, together: 40, connectionsMax: connectionsMax)
        let log = try await server.stop()
        #expect(outcomes.allSatisfy { $0.count == 1 && $0[0].verdicts[0].name == "delivered" })
        #expect(log.connections == connectionsMax && log.goodbyes == connectionsMax)
        #expect(Set(log.messages) == Set(messages) && log.messages.count == messages.count)
    }

    @Test("a message larger than any buffer arrives whole, with others behind it")
    func large() async throws {
        let server = try await ScriptedServer.start(.init(), on: loop)
        let line = ".a line that begins with a dot, of some length, so that blocks end anywhere\r\n"
        let large = ByteBuffer(string: String(repeating: line, count: 4000))
        let messages = [ByteBuffer(string: "small\r\n"), large, ByteBuffer(string: "last\r\n")]
        let outcomes = try await deliver(messages, port: server.port, together: 3, connectionsMax: 1)
        let log = try await server.stop()
        #expect(outcomes.allSatisfy { $0.count == 1 && $0[0].verdicts[0].name == "delivered" })
        #expect(log.messages == messages)
    }

    @Test("a server that dies at any step leaves the right verdict", arguments: ScriptedServer.Death.allCases)
    func death(step: ScriptedServer.Death) async throws {
        let server = try await ScriptedServer.start(.init(death: (0, step)), on: loop)
        // More than the kernel's buffers take before the server is gone.
        var large = ByteBuffer(string: "first\r\n")
        large.writeRepeatingByte(0x78, count: 40 << 20)
        let message = step == .body ? large : ByteBuffer(string: "hi\r\n")
        let outcomes = try await deliver([message], port: server.port, together: 1, connectionsMax: 1)
        let log = try await server.stop()
        #expect(log.messages.isEmpty)
        #expect(outcomes[0].count == 1)
        let verdict = try #require(outcomes[0].first?.verdicts.first)
        #expect(verdict.name == (step == .end ? "unknown" : "deferred"))
        #expect(verdict.reply.code == 451)
    }

    @Test("nobody listens: deferred with the system's reason", arguments: ["127.0.0.1", "localhost"])
    func refused(host: String) async throws {
        let server = try await ScriptedServer.start(.init(), on: loop)
        _ = try await server.stop()
        let outcomes = try await deliver(
            [ByteBuffer(string: "hi\r\n")], port: server.port, host: host, together: 1, connectionsMax: 1)
        #expect(outcomes[0].count == 1)
        let verdict = try #require(outcomes[0].first?.verdicts.first)
        #expect(verdict.name == "deferred" && verdict.reply.code == 451 && verdict.reply.enhanced == "4.4.1")
        #expect(verdict.reply.text == "could not connect to \(host):\(server.port): Connection refused")
    }

    @Test("a name that does not exist: deferred with the reason")
    func unknownHost() async throws {
        let outcomes = try await deliver(
            [ByteBuffer(string: "hi\r\n")], port: 25, host: "no-such-host.invalid", together: 1, connectionsMax: 1)
        let reply = try #require(outcomes[0].first?.verdicts.first?.reply)
        let cause = "could not connect to no-such-host.invalid:25: "
        #expect(reply.text.hasPrefix(cause) && reply.text.count > cause.count)
        #expect(!reply.text.contains("Error"), "the system's words, not NIO's")
    }
}
