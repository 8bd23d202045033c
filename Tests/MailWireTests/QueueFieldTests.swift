// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import Testing

/// Of fifteen queues, none of them the default.
private let limits = JobLimits(
    queues: Dictionary(uniqueKeysWithValues: (1...15).map { ("queue-\($0 + 10)", UInt16($0)) }))

private func readQueued(_ fields: String) throws(WireError) -> JobLine {
    var reader = JobReader(schemas: [EmailSchema()], limits: limits)
    return try withBytes(job(fields)) { (bytes) throws(WireError) in try reader.read(bytes, now: noon) }
}

@Suite("queue, tags, wait and idempotency_key")
struct QueueFieldTests {
    @Test("where they are missing the queue is the default, and nothing else is set")
    func missing() throws {
        let line = try read(job(""))
        #expect(line.queue == 0 && line.key == nil && !line.waitsForOutcome)
    }

    @Test(
        "a queue is known by its name, however that is escaped",
        arguments: [
            (#""queue":"queue-11""#, UInt16(1)), (#""queue":"queue\u002d25""#, 15), (#""\u0071ueue":"queue-12""#, 2),
        ])
    func queue(_ fields: String, _ number: UInt16) throws {
        #expect(try readQueued(fields).queue == number)
    }

    private static let known = (11...18).map { "queue-\($0)" }.joined(separator: ", ")
    private static let tags =
        #"must be a list of at most 16 strings of 1 to 64 letters, digits, "-", "_", ".""#

    static let refused: [(String, String, String)] = [
        (#""queue":"queue-9""#, "queue", #"must be one that is configured (\#(known)), not "queue-9""#),
        (#""queue":"Queue-11""#, "queue", #"must be one that is configured (\#(known)), not "Queue-11""#),
        (#""queue":"default""#, "queue", #"must be one that is configured (\#(known)), not "default""#),
        (#""queue":"""#, "queue", #"must be one that is configured (\#(known)), not """#),
        (#""queue":11"#, "queue", "must be a string, not 11"),
        (#""queue":null"#, "queue", "must be a string, not null"),
        (#""queue":["queue-11"]"#, "queue", #"must be a string, not ["queue-11"]"#),
        (#""tags":"bulk""#, "tags", #"\#(tags), not "bulk""#),
        (#""tags":{}"#, "tags", "\(tags), not {}"),
        (#""tags":[1]"#, "tags", "\(tags), not 1"),
        (#""tags":["a",""]"#, "tags", #"\#(tags), not """#),
        (#""tags":["a b"]"#, "tags", #"\#(tags), not "a b""#),
        (#""tags":["\u00e4"]"#, "tags", #"\#(tags), not "\u00e4""#),
        (#""tags":["a\nb"]"#, "tags", #"\#(tags), not "a\nb""#),
        (#""tags":[["a"]]"#, "tags", #"\#(tags), not ["a"]"#),
        (#""wait":"forever""#, "wait", #"must be "durable" or "settled", not "forever""#),
        (#""wait":"Settled""#, "wait", #"must be "durable" or "settled", not "Settled""#),
        (#""wait":true"#, "wait", #"must be "durable" or "settled", not true"#),
        (#""wait":"""#, "wait", #"must be "durable" or "settled", not """#),
        (#""idempotency_key":"""#, "idempotency_key", #"must be a string of 1 to 256 bytes, not """#),
        (#""idempotency_key":5"#, "idempotency_key", "must be a string of 1 to 256 bytes, not 5"),
        (#""idempotency_key":null"#, "idempotency_key", "must be a string of 1 to 256 bytes, not null"),
        (#""idempotency_key":["k"]"#, "idempotency_key", #"must be a string of 1 to 256 bytes, not ["k"]"#),
    ]

    @Test("a value that is none is refused, with its field and what stands there", arguments: refused)
    func refuses(_ fields: String, _ field: String, _ message: String) {
        let expected = WireError(.invalidJob, "\(field): \(message)", field: field)
        #expect(throws: expected) { try readQueued(fields) }
    }

    @Test("tags are counted and measured to the last that may be there")
    func tagBounds() {
        let word = String(repeating: "x", count: 64)
        let most = Array(repeating: "\"\(word)\"", count: 16)
        #expect(refusal(job("\"tags\":[\(most.joined(separator: ","))]")) == nil)
        #expect(refusal(job("\"tags\":[\((most + ["\"x\""]).joined(separator: ","))]"))?.field == "tags")
        #expect(refusal(job("\"tags\":[\"\(word)x\"]"))?.field == "tags")
        #expect(refusal(job(#""tags":[]"#)) == nil)
        #expect(refusal(job(#""tags":["a.B-9_","\u0061"]"#)) == nil)
    }

    @Test("a key has 256 bytes at most, counted as UTF-8 without escapes")
    func keyBounds() throws {
        let e = String(repeating: "é", count: 128)
        #expect(try read(job("\"idempotency_key\":\"\(e)\"")).key?.name.count == 256)
        #expect(refusal(job("\"idempotency_key\":\"\(e)x\""))?.field == "idempotency_key")
        let escaped = try read(job(#""idempotency_key":"\u006b\n\u0000""#)).key
        #expect(escaped?.name == [0x6B, 0x0A, 0x00])
    }

    @Test("wait says when the answer comes", arguments: [(#""durable""#, false), (#""settled""#, true)])
    func wait(_ value: String, _ waits: Bool) throws {
        #expect(try read(job("\"wait\":\(value)")).waitsForOutcome == waits)
    }
}

@Suite("What an idempotency key stands for")
struct LineDigestTests {
    private func digest(_ line: String) throws -> [UInt8]? { try read(line).key?.digest }

    private static let members = [
        #""idempotency_key":"k""#, #""to":["a@example.com","b@example.com"]"#, #""from":"app@example.org""#,
        #""subject":"Grüße","content":"x""#, #""headers":{"X-A":"1","X-B":"2"}"#, #""priority":7"#,
    ]

    private static func line(_ members: [String]) -> String { "{\(members.joined(separator: ","))}" }

    @Test("the order of the members is nothing to it", arguments: members.indices)
    func order(start: Int) throws {
        let turned = Array(Self.members[start...] + Self.members[..<start])
        for members in [turned, turned.reversed()] {
            #expect(try digest(Self.line(members)) == digest(Self.line(Self.members)), "\(members)")
        }
    }

    static let same = [
        line(members + [#""wait":"settled""#]), line(members + [#""wait":"durable""#]),
        line(members).replacing(",\"from\":", with: " ,\t\"from\" : "),
        line(members).replacing("Grüße", with: #"Gr\u00fc\u00dfe"#),
        line(members).replacing("\"subject\"", with: #""\u0073ubject""#),
        line(members).replacing("\"k\"", with: "\"another\""),
    ]

    @Test("nor are blanks between members, escapes in a string, the wait and the key itself", arguments: same)
    func sameMeaning(_ other: String) throws {
        #expect(try digest(other) == digest(Self.line(Self.members)))
    }

    static let others = [
        line(members).replacing("Grüße", with: "Gruesse"), line(members).replacing(":7", with: ":8"),
        line(members).replacing("a@example.com\",\"b@", with: "b@example.com\",\"a@"),
        line(members).replacing("\"content\"", with: "\"html\""), line(members + [#""ref":"r""#]),
        line(members).replacing("\"subject\":\"Grüße\",", with: ""),
        line(members).replacing(#""subject":"Grüße","content":"x""#, with: #""subject":"x","content":"Grüße""#),
        line(members).replacing(#"{"X-A":"1","X-B":"2"}"#, with: #"{"X-A":"2","X-B":"1"}"#),
        line(members).replacing(#""priority":7"#, with: #""delay":7"#),
    ]

    @Test("anything else is", arguments: others)
    func otherMeaning(_ other: String) throws {
        #expect(try digest(other) != digest(Self.line(Self.members)))
    }

    @Test("a string is not the number that is written like it")
    func types() throws {
        let key = #""idempotency_key":"k""#
        #expect(try digest(job("\(key),\"ref\":\"7\"")) != digest(job("\(key),\"ref\":\"8\"")))
        #expect(try digest(job("\(key),\"content\":\"7\"")) != digest(job("\(key),\"priority\":7")))
    }

    @Test("it has sixteen bytes, and a line without a key has none")
    func length() throws {
        #expect(try digest(Self.line(Self.members))?.count == 16)
        #expect(try digest(job("")) == nil)
    }
}
