// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import Testing

@Suite("The header follows RFC 5322")
struct HeaderTests {
    @Test("the common message looks like this, octet for octet")
    func common() throws {
        let message = try MessageComposer.compose(
            .sample {
                $0.subject = "hi"
                $0.text = Array("text\n".utf8)
            })
        let expected = [
            "From: app@example.org", "To: a@example.com", "Subject: hi", "Date: Mon, 23 Nov 2026 10:00:00 +0000",
            "Message-ID: <0G2Q5X7J1C0A4@mail.example.org>", "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: 7bit", "", "text", "",
        ]
        #expect(String(decoding: message.bytes, as: UTF8.self) == expected.joined(separator: "\r\n"))
        #expect(!message.needs8BitMIME && !message.needsSMTPUTF8)
    }

    @Test("RFC 5322 §3.6: one From, one Date, one Message-ID, the same at every attempt")
    func identification() throws {
        let fields = MessageFields.sample { $0.headers = [("X-Order", "17"), ("References", "<a@b> <c@d>")] }
        let lines = try Lines(fields)
        for name in ["From", "To", "Date", "Message-ID", "MIME-Version", "Content-Type"] {
            #expect(lines.count(of: name) == 1)
        }
        #expect(try Lines(fields).bytes == lines.bytes)
    }

    @Test("an app's own Date and Message-ID replace ours, in any case")
    func ownIdentification() throws {
        let lines = try Lines(
            .sample {
                $0.headers = [("message-id", "<x.1@[192.0.2.1]>"), ("DATE", "1 Jan 2027 00:00 -0330")]
            })
        #expect(lines.count(of: "Message-ID") == 1 && lines.count(of: "Date") == 1)
        #expect(lines.field("message-id") == "<x.1@[192.0.2.1]>")
    }

    @Test(
        "RFC 5322 §3.3: dates",
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"), (951_782_400_000, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_709_164_799_999, "Wed, 28 Feb 2024 23:59:59 +0000"),
            (1_735_689_599_000, "Tue, 31 Dec 2024 23:59:59 +0000"),
            (4_107_542_400_000, "Mon, 01 Mar 2100 00:00:00 +0000"), (-1000, "Wed, 31 Dec 1969 23:59:59 +0000"),
            (Int64.min, "Mon, 01 Jan 1900 00:00:00 +0000"),
        ])
    func dates(milliseconds: Int64, text: String) throws {
        #expect(try Lines(.sample { $0.date = WallTime(milliseconds: milliseconds) }).field("Date") == text)
    }

    @Test(
        "an app's Date is taken only as RFC 5322 §3.3 writes it",
        arguments: [
            ("Mon, 23 Nov 2026 10:00:00 +0000", true), ("3 Nov 2026 10:00 GMT", true),
            ("Sun, 31 Dec 2028 23:59:60 +0000", true), ("2026-11-23T10:00:00Z", false),
            ("Mon 23 Nov 2026 10:00 +0000", false),
            ("Mon, 32 Nov 2026 10:00:00 +0000", false), ("Mon, 23 Nov 26 10:00:00 +0000", false), ("", false),
            ("Mon, 23 Nov 2026 24:00:00 +0000", false), ("Mon, 23 Nov 2026 10:00:00 +00", false),
            ("Mon, 23 Nov 2026 10:00:00 CEST", false), ("Xxx, 23 Nov 2026 10:00:00 +0000", false),
            ("nFe, 23 Nov 2026 10:00:00 +0000", false), ("Mon, 23 nFe 2026 10:00:00 +0000", false),
        ])
    func ownDates(text: String, isValid: Bool) {
        #expect((refusal(.sample { $0.headers = [("Date", text)] })?.field == "headers.Date") == !isValid)
    }

    @Test(
        "RFC 5322 §3.6.4: a Message-ID is <left@right>",
        arguments: [
            "", "a@b", "<a@b", "<ab>", "<a@>", "<@b>", "<a b@c>", "<a@b> <c@d>", "<a@b@c>", "<a.@b>", "<é@b>", "<a@[]>",
        ])
    func messageIDs(text: String) {
        #expect(refusal(.sample { $0.messageID = text })?.field == "headers.Message-ID")
        #expect(refusal(.sample { $0.headers = [("Message-Id", text)] })?.field == "headers.Message-Id")
    }

    @Test(
        "RFC 5322 §2.2: no header value carries CR, LF, NUL or another control character",
        arguments: ["\r\n", "\n", "\r", "\u{0}", "\u{8}"])
    func injection(control: String) {
        let evil = "a\(control)Bcc: victim@example.com"
        #expect(refusal(.sample { $0.subject = evil })?.field == "subject")
        #expect(refusal(.sample { $0.headers = [("X-A", evil)] })?.field == "headers.X-A")
        #expect(refusal(.sample { $0.headers = [(evil, "b")] })?.field == "headers")
        #expect(refusal(.sample { $0.from = "\"\(evil)\" <a@b>" })?.field == "from")
        #expect(refusal(.sample { $0.to = ["a@b", evil] })?.field == "to")
        #expect(refusal(.sample { $0.cc = [evil] })?.field == "cc")
        #expect(refusal(.sample { $0.replyTo = [evil] })?.field == "reply_to")
        #expect(refusal(.sample { $0.messageID = "<a\(control)@b>" })?.field == "headers.Message-ID")
        let name = Attachment(name: evil, data: [])
        #expect(refusal(.sample { $0.attachments = [name] })?.field == "attachments[0].name")
        let type = Attachment(name: nil, contentType: "a/b; c=\"\(evil)\"", data: [])
        #expect(refusal(.sample { $0.attachments = [type] })?.field == "attachments[0].content_type")
        let cid = Attachment(name: nil, data: [], contentID: evil)
        #expect(refusal(.sample { $0.attachments = [cid] })?.field == "attachments[0].cid")
    }

    @Test(
        "fields that are not the app's are refused, in any case",
        arguments: [
            "From", "TO", "cc", "Bcc", "Resent-Bcc", "Reply-To", "Subject", "Sender", "MIME-Version", "Content-Type",
            "content-x", "Received", "Return-Path", "DKIM-Signature",
        ])
    func reserved(name: String) {
        #expect(refusal(.sample { $0.headers = [(name, "x")] })?.field == "headers.\(name)")
    }

    @Test("RFC 5322 §2.2: names of fields are printable ASCII without colon", arguments: ["", "A:", "A B", "Ä", "A\t"])
    func names(name: String) {
        #expect(refusal(.sample { $0.headers = [(name, "x")] })?.field == "headers")
    }

    @Test(
        "fields that may stand once are refused twice", arguments: ["Date", "Message-ID", "In-Reply-To", "References"])
    func twice(name: String) {
        let value = name == "Date" ? "1 Jan 2027 00:00 +0000" : "<a@b>"
        let error = refusal(.sample { $0.headers = [(name, value), (name.lowercased(), value)] })
        #expect(error == ComposeError(field: "headers.\(name.lowercased())", reason: "may stand there only once"))
    }

    @Test("a hundred fields are enough")
    func many() throws {
        let hundred = (1...100).map { (name: "X-\($0)", value: "\($0)") }
        #expect(try Lines(.sample { $0.headers = hundred }).field("X-100") == "100")
        #expect(refusal(.sample { $0.headers = hundred + [("X-101", "")] })?.field == "headers")
    }

    @Test("RFC 2369 §2, RFC 8058 §3.1, RFC 3834 §5: List-Unsubscribe and Auto-Submitted go as given, no URL broken")
    func listUnsubscribe() throws {
        let url = "<https://example.com/unsubscribe/\(String(repeating: "opaque", count: 30))>"
        let value = "<mailto:unsubscribe@example.com?subject=unsubscribe>, \(url)"
        let lines = try Lines(
            .sample {
                $0.headers = [
                    ("List-Unsubscribe", value), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
                    ("Auto-Submitted", "auto-generated"),
                ]
            })
        #expect(lines.field("List-Unsubscribe") == value)
        #expect(lines.header.contains(" \(url)"))
        // RFC 3834 §5
        #expect(lines.header.contains("Auto-Submitted: auto-generated"))
        #expect(lines.header.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"))
    }

    @Test("RFC 5322 §2.2.3: header lines fold before blanks at 78 octets and unfold to what they were")
    func folding() throws {
        let ids = (1...40).map { "<message.\($0)@mail.example.org>" }.joined(separator: " ")
        let subject = (1...40).map { "word\($0)" }.joined(separator: " ")
        let lines = try Lines(
            .sample {
                $0.headers = [("References", ids), ("X-Blanks", "a  b\t" + ids)]
                $0.subject = subject
            })
        #expect(lines.field("References") == ids)
        #expect(lines.field("X-Blanks") == "a  b\t" + ids)
        #expect(lines.field("Subject") == subject)
        #expect(lines.header.allSatisfy { $0.utf8.count <= 78 && $0.utf8.contains { $0 > 0x20 } })
    }

    @Test("RFC 5322 §2.1.1: a word that no line of 998 octets can hold is refused, one that fits is not broken")
    func longWord() throws {
        let word = String(repeating: "w", count: 900)
        #expect(try Lines(.sample { $0.headers = [("X-Long", word)] }).field("X-Long") == word)
        #expect(refusal(.sample { $0.headers = [("X-Long", word + "w")] })?.field == "headers.X-Long")
        #expect(refusal(.sample { $0.headers = [("X-Long", "a" + String(repeating: " ", count: 900) + "b")] }) != nil)
    }

    @Test("an empty subject or value leaves an empty field; no subject, no field")
    func empty() throws {
        let lines = try Lines(
            .sample {
                $0.subject = ""
                $0.headers = [("X-Empty", ""), ("X-Blank", "  ")]
            })
        #expect(lines.header.contains("Subject:") && lines.header.contains("X-Empty:"))
        #expect(lines.header.contains("X-Blank:"))
        #expect(try Lines(.sample()).field("Subject") == nil)
    }
}
