// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import MailMessage
import Testing

@Suite("RFC 6376 §3.4: the relaxed form")
struct RelaxedTests {
    @Test(
        "bodies",
        arguments: [
            // §3.4.5
            (" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"),
            ("", ""), ("\r\n", ""), ("\r\n\r\n", ""), (" \r\n", ""), ("\t \r\n \r\n", ""),
            ("a\r\n", "a\r\n"), ("a\r\n\r\n \r\n", "a\r\n"), ("a", "a\r\n"), ("a \t", "a\r\n"),
            ("\r\na\r\n", "\r\na\r\n"), (" \r\n\r\na\r\n", "\r\n\r\na\r\n"), ("\ta\r\n", " a\r\n"),
            ("  a  b\t\tc \t \r\n", " a b c\r\n"), ("a\tb\r\n", "a b\r\n"), ("a b c\r\n", "a b c\r\n"),
            (".\r\n..\r\n", ".\r\n..\r\n"), ("é  ü \r\n", "é ü\r\n"), ("a \r\n \r\nb \r\n", "a\r\n\r\nb\r\n"),
        ])
    func body(text: String, form: String) { #expect(relaxed(body: text) == form) }

    @Test("RFC 6376 §3.4.4: the hash of a body without a line is that of nothing")
    func empty() {
        let hash = SHA256.hash(data: Array(relaxed(body: "\r\n\r\n").utf8))
        #expect(hash.description.hasSuffix("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
    }

    @Test(
        "header fields",
        arguments: [
            // §3.4.5
            ("A: X\r\n", "a:X"), ("B : Y\t\r\n\tZ  \r\n", "b:Y Z"),
            ("SUBJect: AbC\r\n", "subject:AbC"), ("Subject:\r\n", "subject:"), ("Subject: \t \r\n", "subject:"),
            ("S:a\r\n b\r\n\tc\r\n", "s:a b c"), ("S:  a  =?x?=  \t b\r\n", "s:a =?x?= b"),
            ("S: a:b: c\r\n", "s:a:b: c"),
            ("S:\r\n a\r\n", "s:a"), ("X-Y: é ü\r\n", "x-y:é ü"),
        ])
    func header(text: String, form: String) {
        let bytes = Array("\(text)\r\n".utf8)
        let colon = bytes.firstIndex(of: 0x3A) ?? 0
        var output: [UInt8] = []
        let name = bytes[..<colon].filter { $0 != 0x20 }
        SignedHeader.appendRelaxed(name: name[...], value: bytes[(colon + 1)...], to: &output)
        #expect(String(decoding: output, as: UTF8.self) == form)
    }

    @Test(
        "the author's domain is that of the first address in the topmost From",
        arguments: [
            ("From: a@Example.ORG", "example.org"), ("from:a@b", "b"), ("FROM : Ann <a@x.example>", "x.example"),
            ("From: \"a@evil.example, x\" <a@x.example>", "x.example"),
            ("From: Ann (or b@evil.example) <a@x.example>", "x.example"),
            ("From: \"A \\\" <q@evil.example>\" <a@x.example>", "x.example"),
            ("From: A\r\n <a@x.example>", "x.example"), ("From: a@x.example, b@y.example", "x.example"),
            ("From: <\"a@b\"@x.example> (c)", "x.example"), ("From: a@x.example (c (d) @e)", "x.example"),
            ("From: Team: a@x.example, b@y.example;", "x.example"),
            ("From: =?utf-8?q?=40?= <a@x.example>", "x.example"),
            ("From: a@bücher.example", "xn--bcher-kva.example"),
            ("From: a@x.example\r\nFrom: b@y.example", "x.example"),
            ("From: nobody", nil), ("From: a@", nil), ("From: a@[192.0.2.1]", nil), ("From: a@☃", nil),
            ("Sender: a@x.example", nil), ("From:", nil),
        ])
    func author(header: String, domain: String?) {
        #expect(SignedHeader(Array("X: y\r\n\(header)\r\nTo: z@z.example\r\n\r\nbody\r\n".utf8)).authorDomain == domain)
    }

    private func relaxed(body: String) -> String {
        var output: [UInt8] = []
        Array(body.utf8).withUnsafeBytes { RelaxedBody.write($0) { output += $0 } }
        return String(decoding: output, as: UTF8.self)
    }
}
