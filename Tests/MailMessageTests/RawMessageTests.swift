// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailMessage
import Testing

@Suite("A raw message passes as it is, but for what it lacks")
struct RawMessageTests {
    private static let ids = "Date: Tue, 1 Dec 2026 00:00:00 +0000\r\nMessage-ID: <x@y>\r\n"

    private func pass(_ raw: String) throws -> String {
        let message = try MessageComposer.pass(
            raw: Array(raw.utf8), date: mondayMorning, messageID: sampleMessageID)
        return String(decoding: message.bytes, as: UTF8.self)
    }

    @Test(
        "a message that lacks nothing passes unchanged",
        arguments: [
            "From: a@b\r\n\(ids)\r\nbody\r\n", "From: a@b\r\n\(ids)",
            "\(ids)X: \(String(repeating: "x", count: 2000))\r\n\r\n.\r\n",
            "\(ids)X-Bcc: a\r\n\r\nBcc: not a field\r\n", "\(ids)From: é@b\r\n\r\né\r\n", "\(ids)\r\n",
        ])
    func unchanged(raw: String) throws {
        #expect(try Array(pass(raw).utf8) == Array(raw.utf8))
    }

    @Test(
        "LF and lone CR become CRLF, in header and body, and the last line ends in one",
        arguments: [
            ("A: b\n{ids}\nc\n", "A: b\r\n{ids}\r\nc\r\n"), ("A: b\r{ids}\rc\r", "A: b\r\n{ids}\r\nc\r\n"),
            ("{ids}\r\nc", "{ids}\r\nc\r\n"), ("{ids}\r\nc\r\r\n.\r\n", "{ids}\r\nc\r\n\r\n.\r\n"),
            ("{ids}\r\nc\n.\nd\r\n", "{ids}\r\nc\r\n.\r\nd\r\n"),
            ("{ids}\r\nc\r\n.\rd\r\n", "{ids}\r\nc\r\n.\r\nd\r\n"),
        ])
    func lineEnds(raw: String, passed: String) throws {
        let given = raw.replacing("{ids}", with: Self.ids)
        #expect(try Array(pass(given).utf8) == Array(passed.replacing("{ids}", with: Self.ids).utf8))
    }

    @Test("RFC 5322 §3.6: a missing Date or Message-ID is added, one that is there is kept")
    func identification() throws {
        let date = "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
        let id = "Message-ID: \(sampleMessageID)\r\n"
        #expect(try pass("From: a@b\r\n\r\nDate: x\r\n") == "\(date)\(id)From: a@b\r\n\r\nDate: x\r\n")
        #expect(try pass("dAte : x\r\n\r\n") == "\(id)dAte : x\r\n\r\n")
        #expect(try pass("MESSAGE-ID:\r\n <a@b>\r\n\r\n") == "\(date)MESSAGE-ID:\r\n <a@b>\r\n\r\n")
    }

    @Test("RFC 5322 §3.6.3: Bcc fields are dropped with their folded lines, and nothing else is")
    func blind() throws {
        let raw = "Bcc: a@b,\r\n\tc@d,\r\n e@f\r\nTo: x@y\r\nBCC :g@h\r\n\(Self.ids)resent-bcc: i\r\n\r\nBcc: body\r\n"
        #expect(try pass(raw) == "To: x@y\r\n\(Self.ids)\r\nBcc: body\r\n")
        #expect(try pass("\(Self.ids)Bcc: last@e.org") == Self.ids)
    }

    @Test("what SMTP must be asked for is told: 8BITMIME by the body, SMTPUTF8 by the header")
    func needs() throws {
        for (header, body, smtpUTF8, eightBit) in [
            ("a", "b", false, false), ("é", "b", true, false), ("a", "é", false, true), ("é", "é", true, true),
        ] {
            let raw = Array("X: \(header)\r\n\(Self.ids)Bcc: é@e\r\n\r\n\(body)\r\n".utf8)
            let message = try MessageComposer.pass(raw: raw, date: mondayMorning, messageID: sampleMessageID)
            #expect(message.needsSMTPUTF8 == smtpUTF8 && message.needs8BitMIME == eightBit)
        }
    }

    @Test(
        "what does not begin with a field is refused",
        arguments: [
            "", "\r\n", "\r\n\r\nbody", "From me Mon Nov 23\r\nA: b\r\n", "hello", ": x\r\n", " A: b\r\n", "é: x\r\n",
        ])
    func refused(raw: String) {
        #expect(throws: ComposeError.self) { try pass(raw) }
    }

    @Test("every way to cut and to end lines gives CRLF alone")
    func games() throws {
        let pieces = ["\r", "\n", "a", "."]
        for number in 0..<1024 {
            var rest = number
            var tail = ""
            for _ in 0..<5 {
                tail += pieces[rest % 4]
                rest /= 4
            }
            let message = try MessageComposer.pass(
                raw: Array("A: b\r\n\r\n".utf8) + Array(tail.utf8), date: mondayMorning, messageID: sampleMessageID)
            #expect(Lines(message).lineLengths.allSatisfy { $0 < 100 })
            #expect(
                Lines(try MessageComposer.compose(.sample { $0.text = Array(tail.utf8) })).lineLengths.allSatisfy {
                    $0 < 100
                })
        }
    }
}
