// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Testing

@Suite struct EmailFieldsTests {
    private func fields(_ line: String) throws(WireError) -> EmailFields {
        try withBytes(line) { (bytes) throws(WireError) in try EmailFields(bytes) }
    }

    @Test("the common job is decoded")
    func common() throws {
        let fields = try fields(
            job(#""subject":"h\u00ed","content":"a\nb","ref":"r\/1","priority":5"#))
        #expect(fields.from == "app@example.org" && fields.to == ["a@example.com"] && fields.ref == "r/1")
        #expect(fields.subject == "hí" && fields.content == Array("a\nb".utf8))
        #expect(fields.cc.isEmpty && fields.bcc.isEmpty && fields.replyTo.isEmpty && fields.headers.isEmpty)
        #expect(fields.html == nil && fields.raw == nil && fields.attachments.isEmpty)
        #expect(fields.envelopeFrom == nil && fields.envelopeTo == nil)
    }

    @Test("every field is decoded")
    func all() throws {
        let line =
            #"{"from":"é <e@b.c>","to":["a@b.c","\u0062@b.c"],"cc":"c@b.c","bcc":[],"reply_to":["r@b.c"],"html":"<p>é","#
            + #""headers":{"X-B":"2","X-A":"1\t"},"envelope":{"to":["x@b.c","y@b.c"],"from":""},"#
            + #""attachments":[{"name":"é","data":"QUI="},"#
            + #"{"cid":"i","data":"\/\/\/\/","content_type":"a/b","name":""}]}"#
        let fields = try fields(line)
        #expect(fields.from == "é <e@b.c>" && fields.to == ["a@b.c", "b@b.c"] && fields.cc == ["c@b.c"])
        #expect(fields.bcc.isEmpty && fields.replyTo == ["r@b.c"] && fields.html == Array("<p>é".utf8))
        #expect(fields.headers.map(\.name) == ["X-B", "X-A"] && fields.headers.map(\.value) == ["2", "1\t"])
        #expect(fields.envelopeFrom == "" && fields.envelopeTo == ["x@b.c", "y@b.c"])
        #expect(
            fields.attachments == [
                EmailAttachment(name: "é", data: Array("AB".utf8)),
                EmailAttachment(name: "", contentType: "a/b", data: [0xFF, 0xFF, 0xFF], cid: "i"),
            ])
        #expect(EmailAttachment(name: "", data: []).contentType == "application/octet-stream")
    }

    @Test("a finished message is decoded")
    func raw() throws {
        let fields = try fields(#"{"raw":"A: b\r\n\r\n\u20ac","envelope":{"from":"a@b.c","to":["x@b.c"]}}"#)
        #expect(fields.raw == Array("A: b\r\n\r\n€".utf8) && fields.from.isEmpty)
        #expect(fields.envelopeFrom == "a@b.c" && fields.envelopeTo == ["x@b.c"])
    }

    @Test(
        "a line that was changed on disk is an error, not a crash",
        arguments: [
            "", "x", "[]", #"{"from":5}"#, #"{"to":[5]}"#, #"{"attachments":[{"data":"A"}]}"#,
            #"{"headers":{"a":1}}"#, #"{"raw":{}}"#, #"{"ref":1}"#, #"{"attachments":[{"name":[]}]}"#,
        ])
    func damaged(_ line: String) {
        #expect(throws: WireError.self) { try fields(line) }
    }

    @Test("base64 comes back as the bytes it was made of, whatever their number")
    func base64() throws {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for count in 0..<100 {
            let data = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 89 &+ count &* 31) }
            var text: [UInt8] = []
            for start in stride(from: 0, to: count, by: 3) {
                let group = data[start..<min(start + 3, count)]
                let bits = (group + [0, 0]).prefix(3).reduce(0) { $0 << 8 | Int($1) }
                let digits = (0..<4).map { alphabet[bits >> (18 - 6 * $0) & 63] }
                text += digits.prefix(group.count + 1) + Array(repeating: 0x3D, count: 3 - group.count)
            }
            let line = #"{"attachments":[{"name":"a","data":"\#(String(decoding: text, as: UTF8.self))"}]}"#
            #expect(try fields(line).attachments.map(\.data) == [data])
        }
    }

    static let notBase64 = [
        "A", "AA", "AAA", "AAAAA", "=", "==", "====", "A===", "AA=", "AAA==", "QQ==QQ==", "QUI=QUI=", "AA=A", "A=AA",
        "QR==", "Qf==", "QUJ=", "QUK=", " QQ==", "QQ== ", "QU JD", "QUJD\\n", "QUJ\\r\\nD", "QUJ-", "QUJ_", "QU*D",
        "QUJ\\u0000", "QUé=", "QUJD====", "AAAA=", "@AAA", "[AAA", "`AAA", "{AAA", ":AAA", "AAAAAAAAAAAAAAAAAAAAAAA.",
    ]

    @Test("RFC 4648 §3: base64 is refused without padding, with stray bits or other characters", arguments: notBase64)
    func refusesBase64(_ text: String) {
        #expect(refusal(job(#""attachments":[{"name":"a","data":"\#(text)"}]"#))?.field == "attachments[0].data")
    }
}
