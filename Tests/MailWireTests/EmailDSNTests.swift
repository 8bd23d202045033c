// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import Testing

@Suite("The field dsn")
struct EmailDSNTests {
    private static let raw = #"{"raw":"A: b\n\nc","envelope":{"from":"","to":["x@example.com"]},"dsn":{"ret":"full"}}"#

    static let taken: [(String, DSNRequest)] = [
        ("{}", DSNRequest()),
        (#"{"notify":"never"}"#, DSNRequest(notify: [])),
        (#"{"notify":["failure"]}"#, DSNRequest(notify: .failure)),
        (
            #"{"notify":["failure","delay","success","delay"],"ret":"headers","envid":"a+b=\u0063"}"#,
            DSNRequest(notify: [.success, .failure, .delay], content: .headers, envelopeID: "a+b=c")
        ),
        (#"{"ret":"full"}"#, DSNRequest(content: .full)),
        (
            #"{"envid":"\#(String(repeating: "x", count: 97))="}"#,
            DSNRequest(envelopeID: String(repeating: "x", count: 97) + "=")
        ),
    ]

    @Test("what is possible is taken, and comes back", arguments: taken)
    func takes(_ value: String, _ request: DSNRequest) throws {
        let line = job(#""dsn":\#(value)"#)
        #expect(refusal(line) == nil)
        let fields = try withBytes(line) { (bytes) throws(WireError) in try EmailFields(bytes) }
        #expect(fields.dsn == request)
    }

    @Test("it goes with raw too")
    func raw() throws {
        #expect(refusal(Self.raw) == nil)
        let fields = try withBytes(Self.raw) { (bytes) throws(WireError) in try EmailFields(bytes) }
        #expect(fields.dsn == DSNRequest(content: .full))
    }

    private static let occasions = #"must be "never", or a list of "success", "failure" and "delay""#

    static let refused: [(value: String, field: String, message: String)] = [
        ("5", "dsn", "dsn: must be an object, not 5"),
        ("null", "dsn", "dsn: must be an object, not null"),
        (#"{"notifies":[]}"#, "dsn.notifies", "dsn.notifies: unknown field"),
        (#"{"notify":[]}"#, "dsn.notify", "dsn.notify: the list is empty"),
        (#"{"notify":5}"#, "dsn.notify", "dsn.notify: \(occasions), not 5"),
        (#"{"notify":"failure"}"#, "dsn.notify", #"dsn.notify: \#(occasions), not "failure""#),
        (#"{"notify":["failure",1]}"#, "dsn.notify", "dsn.notify: \(occasions), not 1"),
        (#"{"notify":["FAILURE"]}"#, "dsn.notify", #"dsn.notify: \#(occasions), not "FAILURE""#),
        (#"{"notify":["never","delay"]}"#, "dsn.notify", #"dsn.notify: "never" stands alone, and in no list"#),
        (#"{"ret":"hdrs"}"#, "dsn.ret", #"dsn.ret: must be "full" or "headers", not "hdrs""#),
        (#"{"ret":true}"#, "dsn.ret", #"dsn.ret: must be "full" or "headers", not true"#),
        (#"{"envid":1}"#, "dsn.envid", "dsn.envid: must be a string, not 1"),
        (#"{"envid":""}"#, "dsn.envid", "dsn.envid: must be printable ASCII, and not empty"),
        (#"{"envid":"a\r\nRCPT"}"#, "dsn.envid", "dsn.envid: must be printable ASCII, and not empty"),
        (#"{"envid":"é"}"#, "dsn.envid", "dsn.envid: must be printable ASCII, and not empty"),
        (
            #"{"envid":"\#(String(repeating: "x", count: 98))="}"#, "dsn.envid",
            "dsn.envid: has 101 characters as xtext (RFC 3461), and 100 at most"
        ),
    ]

    @Test("RFC 3461 §4: what is not possible is refused by the field's name", arguments: refused)
    func refuses(value: String, field: String, message: String) {
        let error = refusal(job(#""dsn":\#(value)"#))
        #expect(error?.field == field && error?.message == message)
    }
}
