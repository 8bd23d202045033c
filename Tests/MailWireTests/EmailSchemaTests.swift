// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import Testing

@Suite struct EmailSchemaTests {
    static let taken: [(String, Int)] = [
        (#"{"from":"app@example.org","to":"a@example.com"}"#, 1),
        (#"{"from":"App <app@example.org>","to":["a@example.com","Ann <b@example.com>"]}"#, 2),
        (#"{"from":"app@example.org","cc":"a@example.com"}"#, 1),
        (#"{"from":"app@example.org","bcc":["a@example.com"],"to":[]}"#, 1),
        (#"{"from":"app@example.org","to":"a@b.c","cc":["d@b.c","e@b.c"],"bcc":"f@b.c"}"#, 4),
        (#"{"from":"\u0061pp@example.org","\u0074o":"J\u00fcrgen <a@example.com>"}"#, 1),
        (#"{"from":"\"Ann, E.\" <a@example.org>","to":"Jürgen <j@bücher.example>"}"#, 1),
        (job(#""reply_to":"r@example.org","subject":"é \u20ac\t!","content":"a\r\nb\u0000","html":"<p>""#), 1),
        (job(#""reply_to":["r@example.org","Bob <s@example.org>"],"subject":"","content":"""#), 1),
        (job(#""headers":{}"#), 1),
        (job(#""headers":{"X-Foo":"a","List-Unsubscribe":"<https://example.org/u>","Auto-Submitted":"é"}"#), 1),
        (job(#""headers":{"Message-ID":"<a.b@example.org>","Date":"Mon, 23 Nov 2026 13:00:00 +0100"}"#), 1),
        (job(#""headers":{"message-id":"<a@[192.0.2.1]>","DATE":"1 Jan 2026 00:00 GMT","In-Reply-To":"<x@y>"}"#), 1),
        (job(#""headers":{"From-Here":"a","Toto":"b","Contents":"c","Resent-To":"d@e.f"}"#), 1),
        (job(#""attachments":[]"#), 1),
        (job(#""attachments":[{"name":"","data":""},{"name":"é","data":"QQ==","content_type":"a/pdf"}]"#), 1),
        (job(#""attachments":[{"name":"a","data":"QUJD","cid":"l@x","content_type":"a/b; c=\"u\\\"8\"; d=e"}]"#), 1),
        (job(#""attachments":[{"name":"a","data":"+\/+\/QU\u004aD"}]"#), 1),
        (job(#""envelope":{"from":"bounce@example.org","to":["x@example.com","y@example.com"]}"#), 2),
        (job(#""envelope":{"from":""}"#), 1), (job(#""envelope":{"to":["x@example.com"]}"#), 1),
        (#"{"raw":"A: b\n\nc","envelope":{"from":"","to":["x@example.com"]}}"#, 1),
        (job(#""bounce":true"#), 1), (job(#""bounce":false,"envelope":{"from":""}"#), 1),
        (#"{"raw":"A: b\n\nc","envelope":{"from":"b@c.d","to":["x@example.com"]},"bounce":true}"#, 1),
        (#"{"raw":"Subject : b\r\n","from":"app@example.org","envelope":{"to":["x@example.com","y@b.c"]}}"#, 2),
    ]

    @Test("what docs/protocol.md allows is taken, and the recipients are counted", arguments: taken)
    func takes(_ line: String, _ recipients: Int) throws {
        #expect(try read(line).recipients == recipients)
    }

    static let wrongTypes: [(String, String, String)] = [
        ("from", "5", "from: must be an address, not 5"),
        ("from", #"["app@example.org"]"#, #"from: must be an address, not ["app@example.org"]"#),
        ("to", "5", "to: must be an address or a list of addresses, not 5"),
        ("to", "null", "to: must be an address or a list of addresses, not null"),
        ("to", #"{"a":"b"}"#, #"to: must be an address or a list of addresses, not {"a":"b"}"#),
        ("to", #"["a@b.c",5]"#, "to: must be an address, not 5"),
        ("to", #"[["a@b.c"]]"#, #"to: must be an address, not ["a@b.c"]"#),
        ("cc", "true", "cc: must be an address or a list of addresses, not true"),
        ("bcc", "1", "bcc: must be an address or a list of addresses, not 1"),
        ("reply_to", "{}", "reply_to: must be an address or a list of addresses, not {}"),
        ("subject", "5", "subject: must be a string, not 5"),
        ("subject", "null", "subject: must be a string, not null"),
        ("content", "[]", "content: must be a string, not []"),
        ("html", "false", "html: must be a string, not false"),
        ("bounce", "1", "bounce: must be true or false, not 1"),
        ("bounce", #""a@b.c""#, #"bounce: must be true or false, not "a@b.c""#),
        ("headers", "[]", "headers: must be an object of strings, not []"),
        ("attachments", "{}", "attachments: must be a list of objects, not {}"),
        ("raw", "5", "raw: must be a string, not 5"),
        ("envelope", #""a@b.c""#, #"envelope: must be an object, not "a@b.c""#),
    ]

    @Test("a field of the wrong type is named", arguments: wrongTypes)
    func refusesTypes(_ field: String, _ value: String, _ message: String) {
        let others = #"{"from":"app@example.org","to":"a@example.com""#
        let line =
            switch field {
            case "from": #"{"to":"a@example.com","from":\#(value)}"#
            case "to": #"{"from":"app@example.org","to":\#(value)}"#
            default: #"\#(others),"\#(field)":\#(value)}"#
            }
        #expect(refusal(line) == WireError(.invalidJob, message, field: field))
    }

    /// Fields, the one to blame, and what is said of it.
    static let nested: [(String, String, String)] = [
        (#""headers":{"X-Foo":5}"#, "headers.X-Foo", "must be a string, not 5"),
        (#""headers":{"X-Foo":null}"#, "headers.X-Foo", "must be a string, not null"),
        (
            #""headers":{"Date":"now"}"#, "headers.Date",
            #"must be a date as "Mon, 23 Nov 2026 13:00:00 +0100", not "now""#
        ),
        (#""headers":{"Message-ID":"x"}"#, "headers.Message-ID", #"must be of the form <left@right>, not "x""#),
        (#""headers":{"Message-ID":"<a@b>","message-id":"<a@c>"}"#, "headers.message-id", "given twice"),
        (#""headers":{"X Y":"a"}"#, "headers", #""X Y" is no name of a header field of at most 75 characters"#),
        (#""attachments":["a"]"#, "attachments[0]", #"must be an object, not "a""#),
        (#""attachments":[{"data":""}]"#, "attachments[0].name", "missing"),
        (#""attachments":[{"name":"a","data":""},{"name":"b"}]"#, "attachments[1].data", "missing"),
        (#""envelope":{"from":5}"#, "envelope.from", "must be an address, not 5"),
        (#""envelope":{"from":" "}"#, "envelope.from", #"" " is empty"#),
        (#""envelope":{"to":"x@b.c"}"#, "envelope.to", #"must be a list of addresses, not "x@b.c""#),
        (#""envelope":{"to":[""]}"#, "envelope.to", #""" is empty"#),
        (#""envelope":{"to":[]}"#, "envelope.to", "at least one recipient is needed"),
        (#""envelope":{"cc":[]}"#, "envelope.cc", "unknown field"),
    ]

    @Test("what is wrong inside a field is named with its path", arguments: nested)
    func refusesNested(_ fields: String, _ field: String, _ message: String) {
        #expect(refusal(job(fields)) == WireError(.invalidJob, "\(field): \(message)", field: field))
    }

    static let attachments: [(String, String, String)] = [
        (#""name":5,"data":"""#, "name", "must be a string, not 5"),
        (#""name":"a\nb","data":"""#, "name", "has a control character"),
        (#""name":"a\u0085b","data":"""#, "name", "has a control character"),
        (#""name":"a","data":5"#, "data", "must be a string, not 5"),
        (#""name":"a","data":"QQ""#, "data", #"must be base64 with its padding and nothing else, not "QQ""#),
        (#""name":"a","data":"","cid":5"#, "cid", "must be a string, not 5"),
        (
            #""name":"a","data":"","cid":"a b""#, "cid",
            #"must be 1 to 200 printable ASCII characters without blanks or <>, not "a b""#
        ),
        (#""name":"a","data":"","content_type":5"#, "content_type", "must be a string, not 5"),
        (
            #""name":"a","data":"","content_type":"pdf""#, "content_type",
            #"must be of the form type/subtype; name=value, not "pdf""#
        ),
        (#""name":"a","data":"","content_type":"Multipart/mixed""#, "content_type", "may not be a multipart"),
        (#""name":"a","data":"","size":5"#, "size", "unknown field"),
    ]

    @Test("what is wrong with an attachment is named with its number", arguments: attachments)
    func refusesAttachments(_ members: String, _ member: String, _ message: String) {
        let field = "attachments[1].\(member)"
        let error = refusal(job(#""attachments":[{"name":"a","data":""},{\#(members)}]"#))
        #expect(error == WireError(.invalidJob, "\(field): \(message)", field: field))
    }

    static let contentTypes: [(String, Bool)] = [
        ("a/b", true), ("a/b;c=d", true), ("a/b ; c=d; e=f", true), ("a/b; c=\\\"\\\"", true), ("", false),
        ("a", false),
        ("a/", false), ("/b", false), ("a/b/c", false), ("a/b;", false), ("a/b; c", false), ("a/b; c=", false),
        ("a/b; c=\\\"", false), ("a/b c", false), ("é/b", false), ("a/b; c=é", false), ("a/b (c)", false),
    ]

    @Test("RFC 2045 §5.1: a content type is one", arguments: contentTypes)
    func judgesContentTypes(_ type: String, _ isValid: Bool) {
        let error = refusal(job(#""attachments":[{"name":"a","data":"","content_type":"\#(type)"}]"#))
        #expect((error == nil) == isValid)
    }

    @Test("at most 1000 attachments, and addresses of at most 998 bytes with their names")
    func bounds() {
        func attachments(_ count: Int) -> String {
            let list = repeatElement(#"{"name":"","data":""}"#, count: count).joined(separator: ",")
            return job(#""attachments":[\#(list)]"#)
        }
        #expect(refusal(attachments(1000)) == nil)
        #expect(refusal(attachments(1001))?.field == "attachments")
        let name = String(repeating: "é ", count: 330)
        #expect(refusal(job(#""cc":"\#(name)<a@b.c>""#)) == nil)
        let error = WireError(.invalidJob, "cc: longer than 998 bytes", field: "cc")
        #expect(refusal(job(#""cc":"\#(name)é <a@b.c>""#)) == error)
    }

    static let incomplete: [(String, String, String)] = [
        ("{}", "from", "from: missing"),
        (#"{"to":"a@example.com"}"#, "from", "from: missing"),
        (#"{"from":"app@example.org"}"#, "to", "to: at least one recipient is needed"),
        (#"{"from":"app@example.org","to":[],"cc":[],"bcc":[]}"#, "to", "to: at least one recipient is needed"),
        (#"{"from":"app@example.org","to":"a@"}"#, "to", #"to: "a@" has no domain"#),
        (#"{"from":"app@example.org","to":["b@example.com","a@"]}"#, "to", #"to: "a@" has no domain"#),
        (#"{"from":"app","to":"a@example.com"}"#, "from", #"from: "app" has no domain"#),
        (#"{"raw":"A: b\n","from":"app@example.org"}"#, "envelope", "envelope: missing, raw needs it"),
        (#"{"raw":"A: b\n","envelope":{"from":""}}"#, "envelope.to", "envelope.to: missing, raw needs it"),
        (#"{"raw":"A: b\n","envelope":{"to":["a@b.c"]}}"#, "envelope.from", "envelope.from: missing"),
        (
            #"{"raw":"A: b\n","envelope":{"from":"","to":[]}}"#, "envelope.to",
            "envelope.to: at least one recipient is needed"
        ),
        (#"{"raw":"","envelope":{"from":"","to":["a@b.c"]}}"#, "raw", "raw: is empty"),
        (#"{"raw":"Hello\n","envelope":{"from":"","to":["a@b.c"]}}"#, "raw", "raw: does not begin with a header field"),
        (#"{"raw":": b\n","envelope":{"from":"","to":["a@b.c"]}}"#, "raw", "raw: does not begin with a header field"),
        (#"{"raw":"\nA: b","envelope":{"from":"","to":["a@b.c"]}}"#, "raw", "raw: does not begin with a header field"),
    ]

    @Test("what is missing is named", arguments: incomplete)
    func refusesIncomplete(_ line: String, _ field: String, _ message: String) {
        #expect(refusal(line) == WireError(.invalidJob, message, field: field))
    }

    @Test(
        "a finished message excludes the fields it is made of",
        arguments: ["to", "cc", "bcc", "reply_to", "subject", "content", "html", "headers", "attachments"])
    func rawExcludes(_ field: String) {
        let value = field == "headers" ? "{}" : field == "attachments" ? "[]" : #""a@example.com""#
        let line = #"{"raw":"A: b\n","envelope":{"from":"","to":["a@b.c"]},"\#(field)":\#(value)}"#
        #expect(refusal(line) == WireError(.invalidJob, "\(field): excluded by raw", field: field))
    }

    @Test("at most so many recipients, and so many addresses in each list")
    func recipientsMax() {
        func line(_ to: Int, _ cc: Int, _ rest: String = "") -> String {
            func list(_ count: Int) -> String { (0..<count).map { "\"a\($0)@b.c\"" }.joined(separator: ",") }
            return #"{"from":"a@b.c","to":[\#(list(to))],"cc":[\#(list(cc))]\#(rest)}"#
        }
        #expect(refusal(line(2, 1), recipientsMax: 3) == nil)
        let tooMany = WireError(.invalidJob, "to: 4 recipients, but 3 at most", field: "to")
        #expect(refusal(line(2, 2), recipientsMax: 3) == tooMany)
        #expect(refusal(line(2, 2, #","envelope":{"to":["x@b.c"]}"#), recipientsMax: 3) == tooMany)
        let tooLong = WireError(.invalidJob, "to: more than 3 addresses", field: "to")
        #expect(refusal(line(4, 0), recipientsMax: 3) == tooLong)
        #expect(refusal(line(0, 4), recipientsMax: 3)?.field == "cc")
        #expect(refusal(line(1000, 0)) == nil)
        #expect(refusal(line(1001, 0))?.field == "to")
        let envelope = #","envelope":{"to":["x@b.c","y@b.c","z@b.c","w@b.c"]}"#
        #expect(refusal(line(1, 0, envelope), recipientsMax: 3)?.field == "envelope.to")
    }

    @Test("an address that is plain to us is one to Mailbox, however it is put together")
    func plainMailboxes() {
        let pieces = ["a", "Ann", " ", "<", ">", "@", "b.c", ".", "\t", ",", "\\\"", "'", "é", "(x)", ";", "<a@b.c>"]
        var accepted = 0
        for code in 0..<pieces.count * pieces.count * pieces.count * pieces.count {
            let (first, second) = (pieces[code % 16], pieces[code / 16 % 16])
            let (third, fourth) = (pieces[code / 256 % 16], pieces[code / 4096])
            let text = first + second + third + fourth
            guard let value = try? JSONValue(parsing: "\"\(text)\"").string else { continue }
            let isMailbox = (try? Mailbox(parsing: value)) != nil
            if isMailbox { accepted += 1 }
            let isTaken = refusal("{\"from\":\"\(text)\",\"to\":\"a@b.c\"}") == nil
            if isTaken != isMailbox { Issue.record("\(text): we say \(isTaken), Mailbox says \(isMailbox)") }
        }
        #expect(accepted > 100)
    }
}
