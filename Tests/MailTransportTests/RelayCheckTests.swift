// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import NIOEmbedded
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@Suite("Trying a relay")
struct RelayCheckTests {
    /// A check on an embedded channel, whose server is the test.
    final class Trial {
        let loop = EmbeddedEventLoop()
        let channel: EmbeddedChannel
        private(set) var reports: [CheckReport] = []

        init(connects: Bool = true, adjust: (inout RelayConfiguration) -> Void = { _ in }) throws {
            var relay = RelayConfiguration(name: "r", host: "localhost", port: 25, ehloName: "client.example")
            adjust(&relay)
            let channel = EmbeddedChannel(loop: loop)
            self.channel = channel
            channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 25), promise: nil)
            let connector = Connector { _, loop in
                connects
                    ? loop.makeSucceededFuture(channel)
                    : loop.makeFailedFuture(IOError(errnoCode: 111, reason: "connect"))
            }
            RelayCheck(relay, loop: loop, connector: connector).run { self.reports.append($0) }
            loop.run()
        }

        /// The server's lines; what the client sends then, LF for CRLF.
        @discardableResult
        func says(_ lines: String...) throws -> String {
            try channel.writeInbound(ByteBuffer(string: lines.map { $0 + "\r\n" }.joined()))
            loop.run()
            var text = ""
            while let buffer = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
            return String(text.map { $0 == "\r\n" ? "\n" : $0 })
        }

        /// "ok greeting 220 mx" for each finding.
        var findings: [String] {
            loop.run()
            return reports.flatMap(\.findings).map { "\($0.isOK ? "ok" : "failed") \($0.step.rawValue) \($0.text)" }
        }
    }

    @Test("a good relay: each step with the server's words, its extensions, and QUIT")
    func good() throws {
        let trial = try Trial()
        #expect(try trial.says("220 mx ready") == "EHLO client.example\n")
        #expect(try trial.says("250-mx greets you", "250-SIZE 1000", "250 PIPELINING") == "QUIT\n")
        #expect(trial.reports.isEmpty, "the goodbye is awaited")
        try trial.says("221 bye")
        #expect(trial.findings == ["ok connect 127.0.0.1:25", "ok greeting 220 mx ready", "ok hello 250 mx greets you"])
        let report = try #require(trial.reports.first)
        #expect(report.isOK && report.tls == nil && report.peer == "127.0.0.1:25" && trial.reports.count == 1)
        #expect(report.extensions == ["SIZE 1000", "PIPELINING"])
        #expect((report.relay, report.transport, report.address) == ("r", "smtp", "localhost:25"))
        #expect(!trial.channel.isActive)
    }

    @Test("a login is told with user and mechanism, never with the secret; one that is refused with its reply")
    func login() throws {
        let directory = TemporaryDirectory()
        directory.write("secret", "hunter2")
        chmod(directory.path + "/secret", 0o600)
        for reply in ["235 welcome", "535 5.7.8 no"] {
            let source = SecretSource(kind: .password, place: .file(directory.path + "/secret"))
            let trial = try Trial { $0.login = LoginSettings(user: "app", secret: source) }
            try trial.says("220 mx")
            #expect(try trial.says("250-mx", "250 AUTH PLAIN") == "AUTH PLAIN AGFwcABodW50ZXIy\n")
            #expect(try trial.says(reply) == "QUIT\n")
            try trial.says("221 bye")
            #expect(
                trial.findings.last
                    == (reply.hasPrefix("235")
                        ? "ok login as app by PLAIN"
                        : "failed login 535 5.7.8 localhost:25 refused the login by PLAIN: no"))
            #expect(!trial.findings.joined().contains("hunter2"))
            #expect(trial.reports.first?.isOK == reply.hasPrefix("235"))
        }
    }

    @Test("no connection: the system's reason")
    func refused() throws {
        let trial = try Trial(connects: false)
        #expect(trial.findings == ["failed connect 451 4.4.1 could not connect to localhost:25: Connection refused"])
        #expect(trial.reports.first?.peer == nil && trial.reports.count == 1)
    }

    @Test("a greeting that refuses, and one that never comes")
    func greeting() throws {
        let refusing = try Trial()
        #expect(try refusing.says("554 5.7.1 not you") == "QUIT\n")
        #expect(refusing.findings == ["ok connect 127.0.0.1:25", "failed greeting 554 5.7.1 not you"])

        let silent = try Trial()
        silent.loop.advanceTime(by: .seconds(RelayCheck.secondsMax - 1))
        #expect(silent.reports.isEmpty)
        silent.loop.advanceTime(by: .seconds(1))
        #expect(
            silent.findings.last
                == "failed greeting 451 4.4.2 lost the connection to localhost:25 while waiting for the greeting: "
                + "no answer within 60 s")
    }

    @Test("TLS that is required and not offered")
    func noTLS() throws {
        let trial = try Trial { $0.tls = .required }
        try trial.says("220 mx")
        try trial.says("250 mx")
        #expect(
            trial.findings.last == "failed tls 454 4.7.4 TLS is required, and localhost:25 does not offer STARTTLS")
    }

    @Test("TLS that is wished for and not offered: in clear, and said so")
    func opportunistic() throws {
        let trial = try Trial { $0.tls = .opportunistic }
        try trial.says("220 mx")
        try trial.says("250 mx")
        try trial.says("221 bye")
        #expect(trial.findings.last == "ok tls none: not offered, or refused, and opportunistic")
        #expect(trial.reports.first?.tls == nil)
    }

    @Test("HELO after EHLO is no failure; by LMTP there is none")
    func hello() throws {
        let old = try Trial()
        try old.says("220 mx")
        #expect(try old.says("500 what?") == "HELO client.example\n")
        try old.says("250 mx")
        try old.says("221 bye")
        #expect(old.findings.last == "ok hello 250 mx" && old.reports.first?.isOK == true)

        let lmtp = try Trial { $0.mailProtocol = .lmtp }
        #expect(try lmtp.says("220 mx") == "LHLO client.example\n")
        try lmtp.says("500 5.5.1 what?")
        #expect(lmtp.findings.last == "failed hello 500 5.5.1 what?" && lmtp.reports.first?.transport == "lmtp")
    }

    @Test("a server that hangs up instead of saying goodbye has still passed")
    func rude() throws {
        let trial = try Trial()
        try trial.says("220 mx")
        try trial.says("250 mx")
        trial.channel.close(promise: nil)
        #expect(trial.findings.count == 3 && trial.reports.first?.isOK == true)
    }
}
