// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailFeed
import MailJob
import MailWire
import Testing

@Suite struct FeedLineTests {
    private func line(_ body: String, identity: String = "q/1") throws -> String {
        var maker = FeedLineMaker(kind: "test", keepsMarks: true)
        let line = try maker.line(of: Array(body.utf8), identity: identity)
        return String(decoding: line.bytes, as: UTF8.self)
    }

    private func key(_ body: String, identity: String = "q/1") -> String {
        FeedLineMaker.key(kind: "test", identity: identity, body: Array(body.utf8))
    }

    @Test func theKeyOfTheIdentityIsPutInFront() throws {
        let body = #" {"to":"a@example.com", "ref":"x"} "#
        let rest = #""to":"a@example.com", "ref":"x"} "#
        #expect(try line(body) == "{\"idempotency_key\":\"\(key(body))\",\(rest)\n")
        #expect(try line("{}") == "{\"idempotency_key\":\"\(key("{}"))\"}\n")
    }

    @Test func aKeyOfTheJobsOwnStays() throws {
        #expect(try line(#"{"idempotency_key":"order-17"}"#) == "{\"idempotency_key\":\"order-17\"}\n")
        #expect(try line(#"{"idempotency\u005fkey":"x"}"#) == "{\"idempotency\\u005fkey\":\"x\"}\n")
    }

    @Test func aJobOverSeveralLinesBecomesOne() throws {
        let body = "{\n  \"to\": \"a@example.com\",\r\n  \"idempotency_key\": \"k\"\n}\n"
        #expect(try line(body) == "{   \"to\": \"a@example.com\",    \"idempotency_key\": \"k\" } \n")
    }

    @Test func whenTheAnswerComesIsTheFeedsToSay() throws {
        let asked = try line(#"{"idempotency_key":"k","wait":"settled","n":1}"#)
        #expect(asked == "{\"idempotency_key\":\"k\",\"wait\":\"durable\",\"n\":1}\n")
        // maild says what is wrong with it.
        #expect(try line(#"{"idempotency_key":"k","wait":7}"#) == "{\"idempotency_key\":\"k\",\"wait\":7}\n")
    }

    @Test func theSameMessageHasTheSameKeyAndAnyOtherHasAnother() {
        #expect(key("{}") == key("{}"))
        #expect(key("{}") != key("{ }"))
        #expect(key("{}") != key("{}", identity: "q/2"))
        #expect(key("{}").hasPrefix("test:q/1:"))
    }

    @Test func aKeyNeverExceedsWhatMaildTakes() {
        for count in [1, 200, 219, 220, 221, 5000] {
            let name = String(repeating: "n", count: count)
            #expect(key("{}", identity: name).utf8.count <= Limits.keyBytesMax)
            #expect(key("{}", identity: name) != key("{}", identity: name + "x"))
        }
    }

    @Test func anIdentityWithQuotesIsEscaped() throws {
        let made = try line("{}", identity: "a\"b\\c\u{7}")
        let json = try JSONValue(parsing: made.dropLast())
        #expect(json["idempotency_key"]?.string == key("{}", identity: "a\"b\\c\u{7}"))
    }
}
