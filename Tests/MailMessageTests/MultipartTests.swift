// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailMessage
import Testing

@Suite("Multiparts follow RFC 2046 and RFC 2387")
struct MultipartTests {
    private let text = Array("plain".utf8)
    private let html = Array("<img src=\"cid:logo\">".utf8)
    private let file = Attachment(name: "a.pdf", contentType: "application/pdf", data: [1, 2, 3])
    private let logo = Attachment(name: "l.png", contentType: "image/png", data: [4, 5], contentID: "logo")

    /// Content types and dispositions in the order in which they stand.
    private func outline(_ fields: MessageFields) throws -> [String] {
        let message = String(decoding: try MessageComposer.compose(fields).bytes, as: UTF8.self)
        return message.split(separator: "\r\n").compactMap { line in
            guard line.hasPrefix("Content-Type: ") || line.hasPrefix("Content-Disp") else { return nil }
            return line.split(separator: " ").dropFirst().first.map { String($0.filter { $0 != ";" }) }
        }
    }

    @Test("text and HTML are alternatives, the richer one last (RFC 2046 §5.1.4)")
    func alternative() throws {
        let parts = try outline(.sample { ($0.text, $0.html) = (text, html) })
        #expect(parts == ["multipart/alternative", "text/plain", "text/html"])
    }

    @Test("attachments make it mixed, inline images related to the HTML")
    func all() throws {
        let parts = try outline(
            .sample { ($0.text, $0.html, $0.attachments) = (text, html, [file, logo]) })
        #expect(
            parts == [
                "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html",
                "image/png", "inline", "application/pdf", "attachment",
            ])
    }

    @Test("no multipart is made for one part")
    func least() throws {
        #expect(try outline(.sample { $0.html = html }) == ["text/html"])
        #expect(try outline(.sample()) == ["text/plain"])
        let related = try outline(.sample { ($0.html, $0.attachments) = (html, [logo]) })
        #expect(related == ["multipart/related", "text/html", "image/png", "inline"])
    }

    @Test("an image with a cid but no HTML that could show it is an attachment")
    func cidWithoutHTML() throws {
        let parts = try outline(.sample { ($0.text, $0.attachments) = (text, [logo]) })
        #expect(parts == ["multipart/mixed", "text/plain", "image/png", "attachment"])
        #expect(
            try outline(.sample { $0.attachments = [file] }) == ["multipart/mixed", "application/pdf", "attachment"])
    }

    @Test("RFC 2387 §3.1 and RFC 2392: related names its root's type, and the image its Content-ID")
    func related() throws {
        let lines = try Lines(.sample { ($0.html, $0.attachments) = (html, [logo]) })
        #expect(lines.field("Content-Type")?.hasSuffix("; type=\"text/html\"") == true)
        #expect(lines.body.contains("\r\nContent-ID: <logo>\r\n"))
    }

    @Test("RFC 2046 §5.1.1: the boundary occurs in no body; a text that holds it is encoded")
    func boundary() throws {
        var fields = MessageFields.sample { ($0.text, $0.attachments) = (text, [file]) }
        let first = try Lines(fields)
        let boundary = try #require(first.field("Content-Type")?.split(separator: "\"").last)
        #expect(boundary.utf8.count <= 70)
        fields.text = Array("see\n--\(boundary)--\nthe end".utf8)
        let second = try Lines(fields)
        #expect(second.field("Content-Type") == first.field("Content-Type"))
        #expect(second.body.components(of: "--\(boundary)") == 3)
        #expect(second.body.contains("Content-Transfer-Encoding: quoted-printable"))
    }

    @Test("another message has another boundary, the same message the same")
    func boundaries() throws {
        let types = try (0..<100).map { number in
            try Lines(
                .sample { ($0.text, $0.html, $0.messageID) = (text, html, "<\(number)@e.org>") }
            ).field("Content-Type")
        }
        #expect(Set(types).count == 100)
    }

    @Test("RFC 2046 §5.2.1: a message within a message is never base64 under its own type")
    func messages() throws {
        var mail = Attachment(name: "m.eml", contentType: "message/rfc822", data: Array("A: b\n\nc\n".utf8))
        let seven = try Lines(.sample { $0.attachments = [mail] })
        #expect(seven.body.contains("message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n"))
        #expect(seven.body.contains("\r\n\r\nA: b\r\n\r\nc\r\n"))
        mail.data = Array("A: b\r\n\r\nä\r\n".utf8)
        let eight = try Lines(.sample { $0.attachments = [mail] })
        #expect(eight.body.contains("application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"))
        #expect(!eight.body.contains("message/rfc822"))
    }

    @Test(
        "RFC 2045 §5.1: a content type that is none is refused",
        arguments: [
            "", "text", "text/", "/plain", "te xt/plain", "text/plain;", "text/plain; charset", "text/plain; a=\"b",
            "text/plain; a=b c", "téxt/plain", "text/plain\r\nX: y", "multipart/mixed; boundary=x",
        ])
    func contentTypes(type: String) {
        let error = refusal(.sample { $0.attachments = [file, Attachment(name: "a", contentType: type, data: [])] })
        #expect(error?.field == "attachments[1].content_type")
    }

    @Test("a Content-ID with blanks, brackets or letters beyond ASCII is refused", arguments: ["", "a b", "<a>", "ä"])
    func contentIDs(cid: String) {
        let error = refusal(.sample { $0.attachments = [Attachment(name: "a", data: [], contentID: cid)] })
        #expect(error?.field == "attachments[0].cid")
    }
}

extension String {
    /// How often `part` occurs.
    fileprivate func components(of part: String) -> Int {
        var count = 0
        var rest = self[...]
        while let found = rest.firstRange(of: part) {
            count += 1
            rest = rest[found.upperBound...]
        }
        return count
    }
}
