// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import MailWire
import Testing

/// Judges a line as the submission socket does.
private func judge(_ line: String, _ schemas: [any JobSchema]) throws(WireError) -> JobLine {
    var reader = JobReader(schemas: schemas, limits: JobLimits())
    let bytes = Array(line.utf8)
    let result = bytes.withUnsafeBytes { bytes in
        Result { () throws(WireError) in try reader.read(bytes, now: WallTime(milliseconds: 0)) }
    }
    return try result.get()
}

private func complaint(_ line: String, _ schema: any JobSchema) -> String {
    do throws(WireError) {
        _ = try judge(line, [EmailSchema(), schema])
        return "none"
    } catch {
        return "\(error.name.rawValue) \(error.message)"
    }
}

private func webhook(_ fields: String) -> String { #"{"type":"webhook",\#(fields)}"# }

@Suite("The fields of a webhook")
struct WebhookSchemaTests {
    private let schema = WebhookSchema(hooks: ["slack"])

    @Test(
        "are taken",
        arguments: [
            #""url":"https://a.example/x","body":{}"#, #""hook":"slack","body":null"#,
            #""url":"http://a.example:81/","body":[1,{"a":"b"}],"method":"PUT","ref":"r","priority":9"#,
            #""hook":"slack","body":"text","headers":{"Authorization":"Bearer x","X-A":"\ta b"}"#,
        ])
    func good(_ fields: String) throws {
        let job = try judge(webhook(fields), [EmailSchema(), schema])
        #expect(job.kind == 1 && job.recipients == 1)
    }

    @Test(
        "are refused by name",
        arguments: [
            (#""body":1"#, "url: missing, and hook too: one is needed"),
            (#""url":"https://a.example","hook":"slack","body":1"#, "hook: excludes url"),
            (#""url":"https://a.example""#, "body: missing"),
            (#""url":5,"body":1"#, "url: must be a string, not 5"),
            (#""url":"a.example/se/cret","body":1"#, "url: does not begin with https:// or http://"),
            (#""hook":"teams","body":1"#, #"hook: must be the NAME of a [webhook.NAME], not "teams""#),
            (#""hook":"slack","body":1,"method":"GET""#, #"method: must be POST or PUT, not "GET""#),
            (#""hook":"slack","body":1,"headers":[]"#, "headers: must be an object of strings, not []"),
            (#""hook":"slack","body":1,"headers":{"A B":"x"}"#, #"headers: "A B" is no name of a header field"#),
            (#""hook":"slack","body":1,"headers":{"":"x"}"#, #"headers: "" is no name of a header field"#),
            (#""hook":"slack","body":1,"headers":{"X":1}"#, "headers.X: must be a string, not 1"),
            (#""hook":"slack","body":1,"headers":{"X":"a\r\nY: b"}"#, "headers.X: must be ASCII without control"),
            (#""hook":"slack","body":1,"headers":{"X":"ü"}"#, "headers.X: must be ASCII without control"),
            (#""hook":"slack","body":1,"headers":{"x":"a","X":"b"}"#, "headers.X: given twice"),
            (#""hook":"slack","body":1,"headers":{"host":"x"}"#, "headers.host: not allowed in headers"),
            (#""hook":"slack","body":1,"headers":{"Transfer-Encoding":"x"}"#, "headers.Transfer-Encoding: not allowed"),
            (#""hook":"slack","body":1,"to":"a@example.com""#, "to: unknown field"),
        ])
    func bad(_ fields: String, _ words: String) {
        let complaint = complaint(webhook(fields), schema)
        #expect(complaint.hasPrefix("invalid_job \(words)"), "\(complaint)")
        #expect(!complaint.contains("cret"))
    }

    @Test("a body that is too large to be signed on the loop is refused")
    func large() {
        let body = String(repeating: "a", count: Limits.webhookBodyBytesMax)
        #expect(complaint(webhook(#""hook":"slack","body":"\#(body)""#), schema).contains("body: has over 4194304"))
    }

    @Test("people see where it goes, and nothing that may be a secret")
    func heading() throws {
        let url = try JSONValue(parsing: #"{"url":"https://hooks.example/T0/se/cret?k=v","body":1}"#)
        #expect(schema.heading(url).recipients == ["https://hooks.example"])
        #expect(schema.heading(try JSONValue(parsing: #"{"hook":"slack"}"#)).recipients == ["slack"])
    }
}

@Suite("The fields of other kinds")
struct OtherSchemaTests {
    @Test(
        "exec",
        arguments: [
            (#""program":"sms""#, "none"), (#""program":"sms","input":{"a":[1]}"#, "none"),
            (#""input":1"#, "invalid_job program: missing"),
            (#""program":"rm""#, #"invalid_job program: must be the NAME of an [exec.NAME], not "rm""#),
            (#""program":"sms","args":[]"#, "invalid_job args: unknown field"),
        ])
    func exec(_ fields: String, _ words: String) {
        #expect(complaint(#"{"type":"exec",\#(fields)}"#, ExecSchema(programs: ["sms"])) == words)
    }

    @Test(
        "noop",
        arguments: [
            ("", "none"), (#","payload":{"a":1}"#, "none"), (#","verdict":"deferred","seconds":0.5"#, "none"),
            (#","verdict":"lost""#, #"invalid_job verdict: must be delivered, deferred or rejected, not "lost""#),
            (#","seconds":-1"#, "invalid_job seconds: must be a number of seconds from 0 to 3600, not -1"),
            (#","to":"a""#, "invalid_job to: unknown field"),
        ])
    func noop(_ fields: String, _ words: String) {
        #expect(complaint(#"{"type":"noop"\#(fields)}"#, NoopSchema()) == words)
    }

    @Test("a kind that the configuration has left takes no job, and one that it never had is not known")
    func closed() {
        let left = complaint(#"{"type":"exec","program":"sms"}"#, ClosedSchema(type: "exec"))
        #expect(left == "unknown_type type: this maild is no longer configured for exec")
        let never = complaint(#"{"type":"exec"}"#, NoopSchema())
        #expect(never == #"unknown_type type: this maild has no kind of job "exec""#)
    }
}
