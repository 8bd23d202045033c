// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import Secrets
import Testing

/// A mechanism with its RFC's example: what goes with AUTH, then each challenge with its response.
struct SASLExample: CustomTestStringConvertible, Sendable {
    let name: SASLName
    let user: String
    let secret: String
    let initial: String?
    let steps: [(challenge: String, response: String)]
    var testDescription: String { name.rawValue }

    func begin() throws(SASLError) -> any SASLMechanism {
        let credential = Credential(
            user: user, secret: Secret(secret), kind: name.kind, nonce: "rOprNGfwEbeRWgbNEkqO")
        return try name.begin(credential, host: "server.example.com", port: 143)
    }
}

private let serverNonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
private let serverFirst = "r=\(serverNonce),s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
private let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="

private let examples = [
    // RFC 7677 §3.
    SASLExample(
        name: .scramSHA256, user: "user", secret: "pencil", initial: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        steps: [
            (serverFirst, "c=biws,r=\(serverNonce),p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
            ("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", ""),
        ]),
    // RFC 2195 §3.
    SASLExample(
        name: .cramMD5, user: "tim", secret: "tanstaaftanstaaf", initial: nil,
        steps: [
            ("<1896.697170952@postoffice.reston.mci.net>", "tim b913a602c7eda7a495b4e6e7334d3890")
        ]),
    // RFC 4616 §4.
    SASLExample(
        name: .plain, user: "tim", secret: "tanstaaftanstaaf", initial: "\0tim\0tanstaaftanstaaf", steps: []),
    // draft-murchison-sasl-login §2; the prompts are free.
    SASLExample(
        name: .login, user: "tim", secret: "tanstaaftanstaaf", initial: nil,
        steps: [("User Name\0", "tim"), ("", "tanstaaftanstaaf")]),
    // RFC 7628 §4.1 and its error of §4.3.
    SASLExample(
        name: .oauthBearer, user: "user@example.com", secret: token,
        initial: "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}auth=Bearer \(token)\u{1}\u{1}",
        steps: [("{\"status\":\"invalid_token\",\"scope\":\"example_scope\"}", "\u{1}")]),
    SASLExample(
        name: .xoauth2, user: "someuser@example.com", secret: token,
        initial: "user=someuser@example.com\u{1}auth=Bearer \(token)\u{1}\u{1}",
        steps: [("{\"status\":\"400\",\"schemes\":\"Bearer\"}", "")]),
]

@Suite("SASL mechanisms")
struct SASLTests {
    @Test("the RFC's own example", arguments: examples)
    func example(_ example: SASLExample) throws {
        var mechanism = try example.begin()
        #expect(mechanism.initialResponse.map { String(decoding: $0, as: UTF8.self) } == example.initial)
        for step in example.steps {
            let response = try mechanism.respond(to: Array(step.challenge.utf8))
            #expect(String(decoding: response, as: UTF8.self) == step.response)
        }
        #expect(mechanism.isSatisfied)
        #expect(throws: SASLError.self, "nothing is said twice") { try mechanism.respond(to: [0x61]) }
    }

    @Test("every mechanism has an example, and each its key")
    func complete() {
        #expect(Set(examples.map(\.name)) == Set(SASLName.allCases))
        for name in SASLName.allCases { #expect(SASLName(key: name.key) == name) }
        #expect(SASLName(key: "PLAIN") == nil)
    }

    @Test(
        "RFC 5802 §5.1: a first message of the server that is not to be trusted ends the login",
        arguments: [
            "", "r=\(serverNonce)", "s=W22ZaJ0SNY7soEsUEjb6gQ==,r=\(serverNonce),i=4096",
            "m=x,\(serverFirst)", "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=\(serverNonce),s=!,i=4096",
            "r=\(serverNonce),s=,i=4096", "r=\(serverNonce),s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095",
            "r=\(serverNonce),s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999", "e=other-error",
        ])
    func scramFirst(message: String) throws {
        var mechanism = try examples[0].begin()
        #expect(throws: SASLError.self) { try mechanism.respond(to: Array(message.utf8)) }
        #expect(!mechanism.isSatisfied)
    }

    @Test("RFC 5802 §3: the server's proof counts", arguments: ["v=", "v=AAAA", "e=invalid-proof", "", "v"])
    func scramFinal(message: String) throws {
        var mechanism = try examples[0].begin()
        _ = try mechanism.respond(to: Array(serverFirst.utf8))
        #expect(throws: SASLError.self) { try mechanism.respond(to: Array(message.utf8)) }
        #expect(!mechanism.isSatisfied)
    }

    @Test("RFC 5802 §5.1: = and , in a user's name are escaped")
    func scramName() throws {
        let credential = Credential(user: "a=b,c", secret: Secret("x"), kind: .password, nonce: "n")
        let mechanism = try SASLName.scramSHA256.begin(credential, host: "h", port: 1)
        #expect(mechanism.initialResponse == Array("n,,n=a=3Db=2Cc,r=n".utf8))
    }

    @Test("what a mechanism cannot carry is refused before it is said")
    func unfit() {
        for (name, secret) in [
            (SASLName.scramSHA256, "pässword"), (.plain, "a\0b"), (.xoauth2, "a b"), (.oauthBearer, "a\u{1}b"),
            (.xoauth2, ""),
        ] {
            let credential = Credential(user: "u", secret: Secret(secret), kind: name.kind, nonce: "n")
            #expect(throws: SASLError.self) { try name.begin(credential, host: "h", port: 1) }
        }
    }

    @Test("a nonce is fresh, long and without commas")
    func nonce() {
        let nonces = Set((0..<100).map { _ in Credential.freshNonce() })
        #expect(nonces.count == 100)
        for nonce in nonces {
            #expect(nonce.utf8.count == 24 && nonce.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2C })
        }
    }

    @Test("a secret shows itself neither in print nor in a dump nor in a mirror of whatever holds it")
    func redacted() throws {
        let credential = Credential(user: "u", secret: Secret("hunter2"), kind: .password, nonce: "n")
        var shown = "\(credential) \(String(reflecting: credential)) \(credential.secret)"
        dump(credential, to: &shown)
        for name in SASLName.all(for: .password) {
            dump(try name.begin(credential, host: "h", port: 1), to: &shown)
        }
        let numbers = Array("hunter2".utf8).map(String.init).joined(separator: ", ")
        #expect(shown.contains("(secret)"))
        #expect(!shown.contains("hunter2") && !shown.contains(numbers) && !shown.contains("- \(0x68)"))
    }
}
