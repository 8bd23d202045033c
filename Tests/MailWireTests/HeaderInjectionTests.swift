// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import Testing

/// No text of a job may end the header field that it stands in.
@Suite struct HeaderInjectionTests {
    /// A field, and a line with a gap in it.
    static let places: [(String, String)] = [
        ("subject", #"{"from":"a@b.c","to":"a@b.c","subject":"%"}"#),
        ("headers.X-Foo", #"{"from":"a@b.c","to":"a@b.c","headers":{"X-Foo":"%"}}"#),
        ("from", #"{"to":"a@b.c","from":"Ann% <a@b.c>"}"#),
        ("from", #"{"to":"a@b.c","from":"\"Ann%\" <a@b.c>"}"#),
        ("from", #"{"to":"a@b.c","from":"a@b.c%d"}"#),
        ("from", #"{"to":"a@b.c","from":"a@b.c%"}"#),
        ("from", #"{"to":"a@b.c","from":"%a@b.c"}"#),
        ("to", #"{"from":"a@b.c","to":"a%@b.c"}"#),
        ("cc", #"{"from":"a@b.c","cc":["a@b.c","Ann% <a@b.c>"]}"#),
        ("bcc", #"{"from":"a@b.c","bcc":"a@b.c>%"}"#),
        ("reply_to", #"{"from":"a@b.c","to":"a@b.c","reply_to":"Ann% <a@b.c>"}"#),
        ("envelope.from", #"{"from":"a@b.c","to":"a@b.c","envelope":{"from":"a@b.c%"}}"#),
        ("envelope.to", #"{"from":"a@b.c","to":"a@b.c","envelope":{"to":["a@b.c%RCPT TO:<x@y.z>"]}}"#),
        ("attachments[0].name", #"{"from":"a@b.c","to":"a@b.c","attachments":[{"data":"","name":"a%b"}]}"#),
        (
            "attachments[0].cid",
            #"{"from":"a@b.c","to":"a@b.c","attachments":[{"data":"","name":"a","cid":"a%b"}]}"#
        ),
        (
            "attachments[0].content_type",
            #"{"from":"a@b.c","to":"a@b.c","attachments":[{"data":"","name":"a","content_type":"a/b%"}]}"#
        ),
        (
            "attachments[0].content_type",
            #"{"from":"a@b.c","attachments":[{"data":"","name":"a","content_type":"a/b; c=\"%\""}]}"#
        ),
        ("headers", #"{"from":"a@b.c","to":"a@b.c","headers":{"X-Foo%":"a"}}"#),
        ("headers", #"{"from":"a@b.c","to":"a@b.c","headers":{"X-Foo:%":"a"}}"#),
    ]

    @Test(
        "a line break or NUL is refused in every place that reaches a header or an SMTP command",
        arguments: places)
    func refuses(_ field: String, _ gap: String) {
        let parts = gap.split(separator: "%", omittingEmptySubsequences: false)
        for text in [#"\r\nBcc: x@y.z"#, #"\n"#, #"\r"#, #"\u000a"#, #"\u000D"#, #"\u0000"#, #"\n \n"#] {
            let line = parts.joined(separator: text)
            let error = refusal(line)
            #expect(error?.name == .invalidJob && error?.field == field, "\(line): \(error?.message ?? "taken")")
        }
    }

    @Test(
        "other control characters have no place in a header either; a tab has",
        arguments: ["\\u0001", "\\u001b", "\u{7F}", "\\u007f"])
    func controls(_ text: String) {
        #expect(refusal(job("\"subject\":\"a\(text)b\""))?.message == "subject: has a control character")
        #expect(refusal(job("\"headers\":{\"X-A\":\"a\(text)b\"}"))?.message == "headers.X-A: has a control character")
        #expect(refusal(job(#""subject":"a\tb","headers":{"X-A":"a\tb"}"#)) == nil)
    }

    @Test(
        "the fields that maild or another field sets are refused in any case",
        arguments: [
            "From", "To", "Cc", "Bcc", "Reply-To", "Subject", "Sender", "MIME-Version", "Received", "Return-Path",
            "DKIM-Signature", "Content-Type", "Content-Transfer-Encoding", "Content-", "content-foo", "Resent-Bcc",
            "FROM", "from", "mime-VERSION", "\\u0046rom",
        ])
    func forbidden(_ name: String) throws {
        let error = try #require(refusal(job("\"headers\":{\"X-A\":\"a\",\"\(name)\":\"b\"}")))
        let decoded = try #require(try JSONValue(parsing: "\"\(name)\"").string)
        #expect(error.field == "headers.\(decoded)")
        #expect(error.message.hasSuffix("not allowed in headers: maild or another field sets it"))
    }

    @Test("a header field's name is 1 to 75 printable ASCII characters without a colon")
    func names() {
        let longest = String(repeating: "x", count: 75)
        #expect(refusal(job("\"headers\":{\"\(longest)\":\"a\"}")) == nil)
        for name in ["", "a:", "a b", "é", "a\\t", "\(longest)x", " a", "a "] {
            #expect(refusal(job("\"headers\":{\"\(name)\":\"a\"}"))?.field == "headers", "\(name)")
        }
    }

    @Test("at most 100 header fields")
    func count() {
        func fields(_ count: Int) -> String { (0..<count).map { "\"X-\($0)\":\"a\"" }.joined(separator: ",") }
        #expect(refusal(job("\"headers\":{\(fields(100))}")) == nil)
        let error = WireError(.invalidJob, "headers: more than 100 fields", field: "headers")
        #expect(refusal(job("\"headers\":{\(fields(101))}")) == error)
    }

    @Test("RFC 5322 §2.1.1: a value that cannot be broken into lines of 998 octets is refused")
    func longWords() {
        func value(_ word: String, _ count: Int) -> String { String(repeating: word, count: count) }
        for text in [value("x", 900), value("xxxx ", 900), value("é", 900), "a \(value("x", 890)) \(value("y", 890))"] {
            #expect(refusal(job("\"headers\":{\"X-A\":\"\(text)\"}")) == nil)
        }
        for text in [value("x", 901), "a \(value("x", 900))", value(" ", 901) + "x"] {
            #expect(refusal(job("\"headers\":{\"X-A\":\"\(text)\"}"))?.field == "headers.X-A")
        }
        #expect(refusal(job("\"subject\":\"\(value("x", 5000))\"")) == nil)
    }

    static let dates: [(String, Bool)] = [
        ("Mon, 23 Nov 2026 13:00:00 +0100", true), ("23 Nov 2026 13:00 +0000", true), ("1 Jan 1900 23:59:60 GMT", true),
        ("1 Jan 2026 00:00 UT", true), ("Mon,  1 Jan 2026 00:00 EST", true), ("", false),
        ("Mon 23 Nov 2026 13:00 GMT", false),
        ("Xyz, 23 Nov 2026 13:00 GMT", false), ("32 Nov 2026 13:00 GMT", false), ("23 Abc 2026 13:00 GMT", false),
        ("23 Nov 26 13:00 GMT", false), ("23 Nov 1899 13:00 GMT", false), ("23 Nov 2026 24:00 GMT", false),
        ("23 Nov 2026 13:60 GMT", false), ("23 Nov 2026 13:00:61 GMT", false), ("23 Nov 2026 13 GMT", false),
        ("23 Nov 2026 13:00:00:00 GMT", false), ("23 Nov 2026 13:00", false), ("23 Nov 2026 13:00 Z", false),
        ("23 Nov 2026 13:00 0100", false), ("23 Nov 2026 13:00 +0160", false), ("23 Nov 2026 13:00 +100", false),
        ("23 Nov 2026 13:00 GMT (x)", false), (", 23 Nov 2026 13:00 GMT", false), ("2026-11-23T13:00:00Z", false),
        ("23 Nov 2026 :: GMT", false),
    ]

    @Test("RFC 5322 §3.3: a Date of the app's own is one", arguments: dates)
    func judgesDates(_ text: String, _ isValid: Bool) {
        #expect((refusal(job("\"headers\":{\"Date\":\"\(text)\"}")) == nil) == isValid)
    }

    static let messageIDs: [(String, Bool)] = [
        ("<a@b>", true), ("<a.b@c.d>", true), ("<a@[x]>", true), ("<!#$%&'*+-/=?^_`{|}~@b>", true), ("a@b", false),
        ("<a>", false), ("<@b>", false), ("<a@>", false), ("<a@b@c>", false), ("<a b@c>", false), ("<a..b@c>", false),
        ("<.a@b>", false), ("<a@b.>", false), ("<a@b> ", false), ("<a@b> <c@d>", false), ("<a@[]>", false),
        ("<a@[[]>", false), ("<é@b>", false), ("", false), ("<", false), ("<>", false),
    ]

    @Test("RFC 5322 §3.6.4: a Message-ID of the app's own is one", arguments: messageIDs)
    func judgesMessageIDs(_ text: String, _ isValid: Bool) {
        #expect((refusal(job("\"headers\":{\"Message-ID\":\"\(text)\"}")) == nil) == isValid)
    }
}
