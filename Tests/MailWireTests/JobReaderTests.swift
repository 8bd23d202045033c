// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import Testing

@Suite struct JobReaderTests {
    @Test("the smallest job has the defaults of docs/protocol.md")
    func defaults() throws {
        let smallest = try read(#"{"to":"a@example.com","from":"app@example.org","subject":"hi","content":"text"}"#)
        #expect(smallest.kind == 0 && smallest.priority == 4 && smallest.recipients == 1)
        #expect(smallest.dueAt == nil && smallest.expiresAt == nil && smallest.maxAttempts == nil)
        #expect(smallest.ref == nil)
    }

    @Test("the fields of every job are read")
    func fields() throws {
        let line = job(
            #""type":"email","ref":"order-\u0031\/é","priority":0,"send_at":"2026-11-23T13:30:00+01:00","#
                + #""expires_at":"2026-11-24T12:00:00Z","max_attempts":1000"#)
        let job = try read(line)
        #expect(job.priority == 0 && job.maxAttempts == 1000)
        #expect(job.dueAt == noon + 1800)
        #expect(job.expiresAt == noon + 86400)
        let ref = try #require(job.ref)
        #expect(String(decoding: Array(line.utf8)[ref], as: UTF8.self) == #""order-\u0031\/é""#)
    }

    static let dues: [(String, WallTime?)] = [
        (#""delay":0"#, nil), (#""delay":0.0"#, nil), (#""delay":1"#, noon + 1), (#""delay":0.25"#, noon + 0.25),
        (#""delay":1e2"#, noon + 100), (#""delay":31536000"#, noon + 31_536_000),
        (#""send_at":"2026-11-23T12:00:00Z""#, nil), (#""send_at":"2026-11-23T12:00:00.001Z""#, noon + 0.001),
        (#""send_at":"2020-01-01T00:00:00Z""#, nil), (#""send_at":"2026-11-23T1\u0033:00:00Z""#, noon + 3600),
        (#""\u0064elay":5"#, noon + 5),
    ]

    @Test("a time ahead is the due time, one that has passed means at once", arguments: dues)
    func due(_ fields: String, _ time: WallTime?) throws {
        #expect(try read(job(fields)).dueAt == time)
    }

    static let refused: [(String, String, String)] = [
        (#""ref":5"#, "ref", "must be a string, not 5"),
        (#""ref":null"#, "ref", "must be a string, not null"),
        (#""ref":"a\nb""#, "ref", #"must be without CR, LF and NUL, not "a\nb""#),
        (#""ref":"\u0000""#, "ref", #"must be without CR, LF and NUL, not "\u0000""#),
        (#""priority":10"#, "priority", "must be an integer from 0 to 9, not 10"),
        (#""priority":-1"#, "priority", "must be an integer from 0 to 9, not -1"),
        (#""priority":4.0"#, "priority", "must be an integer from 0 to 9, not 4.0"),
        (#""priority":"high""#, "priority", #"must be an integer from 0 to 9, not "high""#),
        (#""priority":9999999999999999999"#, "priority", "must be an integer from 0 to 9, not 9999999999999999999"),
        (#""send_at":"tomorrow""#, "send_at", #"must be a time as "2026-11-23T12:00:00Z", not "tomorrow""#),
        (
            #""send_at":"2026-11-23T12:00:00""#, "send_at",
            #"must be a time as "2026-11-23T12:00:00Z", not "2026-11-23T12:00:00""#
        ),
        (#""send_at":1795435200"#, "send_at", #"must be a time as "2026-11-23T12:00:00Z", not 1795435200"#),
        (#""delay":-1"#, "delay", "must be a number of seconds from 0 to 31536000, not -1"),
        (#""delay":31536001"#, "delay", "must be a number of seconds from 0 to 31536000, not 31536001"),
        (#""delay":1e999"#, "delay", "must be a number of seconds from 0 to 31536000, not 1e999"),
        (#""delay":"5""#, "delay", #"must be a number of seconds from 0 to 31536000, not "5""#),
        (#""delay":true"#, "delay", "must be a number of seconds from 0 to 31536000, not true"),
        (#""delay":1,"send_at":"2026-11-24T12:00:00Z""#, "delay", "excludes send_at"),
        (#""expires_at":"soon""#, "expires_at", #"must be a time as "2026-11-23T12:00:00Z", not "soon""#),
        (#""expires_at":"2026-11-23T12:00:00Z""#, "expires_at", #"must lie in the future, not "2026-11-23T12:00:00Z""#),
        (
            #""expires_at":"2026-11-23T13:00:00Z","delay":3600"#, "expires_at",
            #"must lie after the time to send, not "2026-11-23T13:00:00Z""#
        ),
        (
            #""expires_at":"2026-11-23T13:00:00Z","send_at":"2026-11-23T14:00:00Z""#, "expires_at",
            #"must lie after the time to send, not "2026-11-23T13:00:00Z""#
        ),
        (#""max_attempts":0"#, "max_attempts", "must be an integer from 1 to 1000, not 0"),
        (#""max_attempts":1001"#, "max_attempts", "must be an integer from 1 to 1000, not 1001"),
        (#""max_attempts":[3]"#, "max_attempts", "must be an integer from 1 to 1000, not [3]"),
        (#""type":5"#, "type", "must be a string, not 5"),
        (#""sendat":"2026-11-24T12:00:00Z""#, "sendat", "unknown field"),
        (#""Priority":5"#, "Priority", "unknown field"),
        (#""":5"#, "", "unknown field"),
    ]

    @Test("a field that is wrong is named, with what stands there", arguments: refused)
    func refuses(_ fields: String, _ field: String, _ message: String) {
        #expect(refusal(job(fields)) == WireError(.invalidJob, "\(field): \(message)", field: field))
    }

    @Test("a long value is shortened to 80 characters")
    func shortened() throws {
        let error = try #require(refusal(job("\"priority\":\"\(String(repeating: "é", count: 200))\"")))
        let shown = String(repeating: "é", count: 79)
        #expect(error.message == "priority: must be an integer from 0 to 9, not \"\(shown)…")
    }

    @Test("a ref has at most 256 bytes, counted as UTF-8 without escapes")
    func refBytes() {
        #expect(refusal(job("\"ref\":\"\(String(repeating: "é", count: 128))\"")) == nil)
        #expect(refusal(job("\"ref\":\"\(String(repeating: "\\u00e9", count: 128))\"")) == nil)
        #expect(refusal(job("\"ref\":\"\(String(repeating: "é", count: 128))x\""))?.field == "ref")
        #expect(refusal(job("\"ref\":\"\(String(repeating: "\\u00e9", count: 129))\""))?.field == "ref")
    }

    @Test("a kind that is not there is an unknown type")
    func unknownType() {
        let expected = WireError(.unknownType, #"type: this maild has no kind of job "sms""#, field: "type")
        #expect(refusal(job(#""type":"sms""#)) == expected)
        #expect(refusal(job(#""type":"Email""#))?.name == .unknownType)
        #expect(refusal(job(#""type":"\u0065mail""#)) == nil)
    }

    static let unreadable = [
        "", "x", "[]", "5", "null", #"{"to":"a@example.com""#, #"{"to":"a@example.com","to":"b@example.com"}"#,
        #"{"to":"a@example.com","\u0074o":"b@example.com"}"#, "{\"to\":\"\u{1}\"}", "{}{}", "\u{FEFF}{}",
        "{\"a\":\(String(repeating: "[", count: 64))\(String(repeating: "]", count: 64))}",
    ]

    @Test("what is not one JSON object is a parse error", arguments: unreadable)
    func parseErrors(_ line: String) throws {
        let error = try #require(refusal(line))
        #expect(error.name == .parseError && error.field == nil && !error.retryable)
        #expect(error.message.hasPrefix("byte "))
    }

    static let withRef = [
        #"{"ref":"order-17","to":"a@","from":"app@example.org"}"#,
        #"{"to":"a@","from":"app@example.org","ref":"order-17"}"#,
        #"{"priority":99,"ref":"order-17"}"#, #"{"type":"sms","ref":"order-17"}"#, #"{"x":1,"ref":"order-17"}"#,
        #"{"ref":"order-17","to":}"#, #"{"ref":"order-17","ref":"order-18"}"#, #"{"\u0072ef":"order-17","x":1}"#,
    ]

    @Test("an error carries the job's ref where it could be read", arguments: withRef)
    func errorsCarryRef(_ line: String) {
        #expect(refusal(line)?.ref == Array(#""order-17""#.utf8))
    }

    @Test(
        "a ref that is no ref is not carried", arguments: [#"{"ref":5}"#, #"{"ref":"a\nb"}"#, #"{"to":,"ref":"x"}"#])
    func errorsWithoutRef(_ line: String) throws {
        let error = try #require(refusal(line))
        #expect(error.ref == nil)
    }

    /// A kind with one field of its own.
    private struct Ping: JobSchema {
        let type = "ping"

        func check(
            _ line: UnsafeRawBufferPointer, _ members: [JSONMember], limits: JobLimits
        ) throws(WireError) -> Int {
            let names = members.map { $0.keyString(in: line) }
            if names != ["host"] { throw WireError(.invalidJob, "host: \(names), at most \(limits.recipientsMax)") }
            return 7
        }
    }

    @Test("each kind judges its own fields, and only these")
    func kinds() throws {
        var reader = JobReader(schemas: [Ping(), EmailSchema()], limits: JobLimits(recipientsMax: 3))
        var taken: [(Int, Int)] = []
        let lines = [
            #"{"host":"h","type":"ping","ref":"r"}"#, job(""), job(#""type":"email""#),
            #"{"priority":5,"delay":5,"type":"ping","host":[]}"#,
        ]
        for line in lines {
            let job = try withBytes(line) { (bytes) throws(WireError) in try reader.read(bytes, now: noon) }
            taken.append((job.kind, job.recipients))
        }
        #expect(taken.map(\.0) == [0, 1, 1, 0] && taken.map(\.1) == [7, 1, 1, 7])
        #expect(throws: WireError(.invalidJob, #"host: ["host", "x"], at most 3"#)) {
            try withBytes(#"{"host":1,"type":"ping","x":2}"#) { try reader.read($0, now: noon) }
        }
    }

    @Test("without e-mail among the kinds the type must be given")
    func noDefaultKind() {
        var reader = JobReader(schemas: [Ping()], limits: JobLimits())
        #expect(throws: WireError(.unknownType, "type: missing, and this maild sends no e-mail", field: "type")) {
            try withBytes(#"{"host":1}"#) { try reader.read($0, now: noon) }
        }
    }

    @Test("a refused line leaves nothing behind for the next")
    func reuse() throws {
        var reader = JobReader(schemas: [EmailSchema()], limits: JobLimits())
        for bad in [#"{"ref":"a","delay":5,"x":"#, #"{"ref":"a","priority":1,"to":[]}"#, "[[[["] {
            #expect(throws: WireError.self) { try withBytes(bad) { try reader.read($0, now: noon) } }
            let good = try withBytes(job("")) { (bytes) throws(WireError) in try reader.read(bytes, now: noon) }
            #expect(good.ref == nil && good.dueAt == nil && good.priority == 4 && good.recipients == 1)
        }
    }
}
