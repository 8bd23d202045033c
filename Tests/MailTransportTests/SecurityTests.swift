// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import Secrets
import Testing

@Suite("Encryption and login in a dialogue")
struct SecurityTests {
    private static func login(_ mechanism: SASLName? = nil, kind: Credential.Kind = .password) -> LoginSettings {
        LoginSettings(user: "u", secret: SecretSource(kind: kind, place: .file("unread")), mechanism: mechanism)
    }

    private func ready(_ exchange: Exchange, _ mechanisms: String) {
        exchange.dialogue.secured("TLSv1.3")
        exchange.says("220 mx")
        exchange.says("250-mx\r\n250 AUTH \(mechanisms)")
    }

    @Test(
        "the strongest mechanism that the server offers is taken",
        arguments: [
            ("LOGIN PLAIN CRAM-MD5 SCRAM-SHA-256", "SCRAM-SHA-256"), ("LOGIN PLAIN CRAM-MD5", "CRAM-MD5"),
            ("LOGIN PLAIN", "PLAIN"), ("login", "LOGIN"), ("plain", "PLAIN"),
        ])
    func strongest(offered: String, taken: String) {
        let exchange = Exchange(tls: .implicit, login: Self.login())
        ready(exchange, offered)
        exchange.dialogue.identify(as: Credential(user: "u", secret: Secret("p"), kind: .password, nonce: "n"))
        #expect(exchange.sent().hasPrefix("AUTH \(taken)"))
        #expect(exchange.dialogue.awaited == .login)
    }

    @Test("RFC 5802 §2.2: a password beyond ASCII goes by the next mechanism")
    func beyondASCII() {
        let exchange = Exchange(tls: .implicit, login: Self.login())
        ready(exchange, "SCRAM-SHA-256 PLAIN")
        exchange.dialogue.identify(as: Credential(user: "u", secret: Secret("pä"), kind: .password, nonce: "n"))
        #expect(exchange.sent() == "AUTH PLAIN AHUAcMOk\n")
    }

    @Test("RFC 4954 §4: a response that makes the command too long follows an empty challenge")
    func longResponse() {
        let exchange = Exchange(tls: .implicit, login: Self.login(kind: .token))
        ready(exchange, "XOAUTH2")
        let token = String(repeating: "t", count: 10_000)
        exchange.dialogue.identify(as: Credential(user: "u", secret: Secret(token), kind: .token, nonce: "n"))
        #expect(exchange.sent() == "AUTH XOAUTH2\n")
        #expect(exchange.says("334 ").hasPrefix("dXNlcj11AWF1dGg9QmVhcmVyIHR0dHR0"))
        exchange.says("235 ok")
        #expect(exchange.dialogue.phase == .ready)
    }

    @Test("a dialogue with a password in hand shows it to nobody who prints it")
    func redacted() {
        let exchange = Exchange(tls: .implicit, login: Self.login())
        ready(exchange, "CRAM-MD5")
        let secret = Secret("hunter2")
        exchange.dialogue.identify(as: Credential(user: "u", secret: secret, kind: .password, nonce: "n"))
        var shown = ""
        dump(exchange.dialogue, to: &shown)
        #expect(shown.contains("CramMD5") && !shown.contains("hunter2"))
    }

    @Test("RFC 8314 §3.3: TLS is implicit on port 465, required elsewhere, off on this machine, unless told otherwise")
    func usual() {
        for host in ["localhost", "LOCALHOST", "mx.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            #expect(TLSPolicy.usual(host: host, port: 25) == .off, "\(host)")
        }
        for host in [
            "mx.example", "192.0.2.1", "128.0.0.1", "::2", "2001:db8::1", "localhost.example", "::ffff:10.0.0.1",
        ] {
            #expect(TLSPolicy.usual(host: host, port: 587) == .required, "\(host)")
        }
        #expect(TLSPolicy.usual(host: "mx.example", port: 465) == .implicit)
    }

    @Test("RFC 2920 §3.1: nothing is submitted before TLS and login are through, and nothing sent behind them")
    func nothingBehind() {
        let exchange = Exchange(tls: .required, login: Self.login())
        exchange.says("220 mx")
        #expect(exchange.says("250-mx\r\n250-PIPELINING\r\n250 STARTTLS") == "STARTTLS\n")
        #expect(exchange.dialogue.room == 0)
        exchange.says("220 go")
        #expect(exchange.dialogue.room == 0 && exchange.dialogue.phase == .securing)
        exchange.dialogue.secured("TLSv1.3")
        #expect(exchange.dialogue.capabilities == Capabilities())
        exchange.says("250-mx\r\n250-PIPELINING\r\n250 AUTH PLAIN")
        #expect(exchange.dialogue.room == 0 && exchange.dialogue.phase == .identifying)
    }

    @Test("RFC 4954 §4: an empty initial response is written as =, none as nothing")
    func command() {
        #expect(SASLName.command("EXTERNAL", []) == "AUTH EXTERNAL =")
        #expect(SASLName.command("LOGIN", nil) == "AUTH LOGIN")
        #expect(SASLName.command("PLAIN", [0]) == "AUTH PLAIN AA==")
    }
}
