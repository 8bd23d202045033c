// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOHTTP1
import Testing

private let now = WallTime(milliseconds: 784_111_777_000)  // Sun, 06 Nov 1994 08:49:37 GMT

@Suite("What a webhook's answer means")
struct WebhookVerdictTests {
    private func response(_ status: Int, _ headers: [(String, String)] = [], _ body: String = "") -> HTTPResponse {
        HTTPResponse(
            status: status, headers: HTTPHeaders(headers), body: Array(body.utf8), isWhole: true, link: HTTPLink())
    }

    @Test(
        "2xx delivers; 429, 5xx and what says so itself is tried again; all else is final",
        arguments: [
            (200, "delivered"), (201, "delivered"), (204, "delivered"), (299, "delivered"), (301, "rejected"),
            (302, "rejected"), (304, "rejected"), (307, "rejected"), (400, "rejected"), (401, "rejected"),
            (403, "rejected"), (404, "rejected"), (408, "deferred"), (409, "rejected"), (410, "rejected"),
            (413, "rejected"), (422, "rejected"), (425, "deferred"), (429, "deferred"), (499, "rejected"),
            (500, "deferred"), (501, "deferred"), (502, "deferred"), (503, "deferred"), (504, "deferred"),
            (599, "deferred"), (101, "rejected"), (600, "rejected"),
        ])
    func status(_ code: Int, _ name: String) {
        let verdict = WebhookVerdict(.success(response(code)), now: now)
        #expect(verdict.verdict.name == name && verdict.verdict.reply.code == code && verdict.trouble == nil)
    }

    @Test("the reply's text is what the server says, else what its status is called; a redirect tells where to")
    func text() {
        let said = WebhookVerdict(.success(response(404, [], "no such\r\n  team\u{0}")), now: now)
        #expect(said.verdict == .rejected(Reply(404, "", "no such team")))
        #expect(WebhookVerdict(.success(response(500)), now: now).verdict.reply.text == "Internal Server Error")
        let moved = WebhookVerdict(.success(response(301, [("Location", "https://b.example/se/cret")])), now: now)
        #expect(moved.verdict.reply.text == "it redirects to https://b.example, which is not followed")
    }

    @Test(
        "Retry-After counts where the job is tried again, and nowhere else",
        arguments: [(429, 120.0), (503, 120), (500, 120), (404, nil), (200, nil)] as [(Int, Double?)])
    func retryAfter(_ code: Int, _ seconds: Double?) {
        let verdict = WebhookVerdict(.success(response(code, [("retry-after", "120")])), now: now)
        #expect(verdict.notBefore == seconds)
    }

    @Test(
        "without an answer: final where nobody may go there, unknown where the server may have done it",
        arguments: [
            (.forbidden, "rejected", false), (.unreachable, "deferred", true), (.unsent, "deferred", true),
            (.unanswered, "unknown", true),
        ] as [(HTTPFailure.Kind, String, Bool)])
    func failure(_ kind: HTTPFailure.Kind, _ name: String, _ isTrouble: Bool) {
        let verdict = WebhookVerdict(.failure(HTTPFailure(kind, "why")), now: now)
        #expect(verdict.verdict.name == name && verdict.verdict.reply == Reply(0, "", "why"))
        #expect((verdict.trouble != nil) == isTrouble)
    }

    @Test(
        "only 307 and 308 are followed, and never from TLS into the clear",
        arguments: [
            (307, "https://b.example/x", "https://b.example"), (308, "/y", "https://a.example"),
            (307, "http://b.example/", nil), (301, "https://b.example/", nil), (302, "/y", nil), (303, "/y", nil),
            (307, "gopher://b.example/", nil), (200, "/y", nil),
        ] as [(Int, String, String?)])
    func redirect(_ code: Int, _ location: String, _ origin: String?) throws {
        let from = try WebURL(parsing: "https://a.example/hook")
        #expect(WebhookVerdict.redirect(response(code, [("Location", location)]), from: from)?.origin == origin)
        #expect(WebhookVerdict.redirect(response(code), from: from) == nil)
    }
}

@Suite("Retry-After")
struct RetryAfterTests {
    @Test(
        "is seconds, or a date in any of the three forms, and no more than a day",
        arguments: [
            ("0", 0), ("120", 120), (" 7", 7), ("86401", 86_400), ("99999999999999999999", 86_400),
            ("Sun, 06 Nov 1994 08:50:07 GMT", 30), ("Sunday, 06-Nov-94 08:50:07 GMT", nil),
            ("Sun Nov  6 08:50:07 1994", 30), ("Sun, 06 Nov 1994 08:49:00 GMT", 0),
            ("Fri, 06 Nov 2054 08:50:07 GMT", 86_400), ("", nil), ("soon", nil), ("-1", nil), ("1.5", nil),
            ("Sun, 32 Nov 1994 08:50:07 GMT", nil), ("Sun, 06 Nov 1994 08:50:07 CET", nil), (nil, nil),
        ] as [(String?, Double?)])
    func forms(_ field: String?, _ seconds: Double?) {
        // The two digits of RFC 850 are of this century here, so 94 lies far ahead.
        let wanted = field?.contains("-94") == true ? 86_400 : seconds
        #expect(RetryAfter.seconds(field, now: now) == wanted)
    }
}

@Suite("Text that is kept")
struct KeptTextTests {
    @Test(
        "is one line, whole characters, and no longer than it may be",
        arguments: [
            ("ok", "ok", "ok"), ("  a \r\n\t b\u{0}\u{7F}c  ", "a b c", "a b c"), ("", "", ""), ("\n\n", "", ""),
            ("0123456789", "01234567…", "…23456789"), ("üüüüü", "üüüü…", "…üüüü"), ("aüüüü", "aüüü…", "…üüüü"),
        ])
    func line(_ text: String, _ beginning: String, _ end: String) {
        #expect(KeptText.line(text.utf8, keeping: .beginning, bytesMax: 8) == beginning)
        #expect(KeptText.line(text.utf8, keeping: .end, bytesMax: 8) == end)
    }

    @Test("invalid UTF-8 is repaired")
    func invalid() { #expect(KeptText.line([0x61, 0xFF, 0x62], keeping: .beginning) == "a\u{FFFD}b") }
}
