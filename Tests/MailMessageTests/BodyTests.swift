// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailMessage
import Testing

@Suite("Text bodies follow RFC 5322 §2.3 and RFC 2045")
struct BodyTests {
    private func lines(_ text: String) throws -> Lines { try Lines(.sample { $0.text = Array(text.utf8) }) }

    @Test(
        "LF, CRLF and lone CR all become CRLF, and the last line ends in one",
        arguments: [
            ("a\nb", "a\r\nb\r\n"), ("a\r\nb\r\n", "a\r\nb\r\n"), ("a\rb\r", "a\r\nb\r\n"),
            ("a\r\r\nb", "a\r\n\r\nb\r\n"), ("a\n\rb", "a\r\n\r\nb\r\n"), ("\r\n\r\n", "\r\n\r\n"), ("\n", "\r\n"),
            (".", ".\r\n"), ("a\n.\nb\n", "a\r\n.\r\nb\r\n"), ("\r\n.\r\n", "\r\n.\r\n"),
            ("a\n.\rb", "a\r\n.\r\nb\r\n"),
            ("", ""),
        ])
    func lineEnds(text: String, body: String) throws {
        let seven = try lines(text)
        #expect(seven.field("Content-Transfer-Encoding") == "7bit")
        #expect(Array(seven.body.utf8) == Array(body.utf8))
        #expect(seven.lineLengths.allSatisfy { $0 < 100 })
    }

    @Test("the same holds in quoted-printable and in base64", arguments: ["\n", "\r\n", "\r"])
    func encodedLineEnds(end: String) throws {
        #expect(try lines("Grüße aus Nah und Fern\(end).\(end)").body == "Gr=C3=BC=C3=9Fe aus Nah und Fern\r\n=2E\r\n")
        #expect(try lines("日本\(end)語").body == "5pel5pysDQroqp4=\r\n")
    }

    @Test(
        "RFC 2045 §2.7: 7bit is chosen for ASCII lines up to 998 octets, never for more, for NUL or for 8-bit octets",
        arguments: [
            (String(repeating: "a", count: 998), "7bit"), (String(repeating: "a", count: 999), "quoted-printable"),
            (String(repeating: "a", count: 998) + "\r\n", "7bit"), (String(repeating: "a", count: 998) + "\nb", "7bit"),
            ("b\n" + String(repeating: "a", count: 999) + "\nb", "quoted-printable"),
            ("b\r\n" + String(repeating: "a", count: 998) + "\r\nb", "7bit"), ("a nul \u{0} in it", "quoted-printable"),
            ("ein schönes Wort", "quoted-printable"), ("Привет", "base64"), ("tab\tbell\u{7}", "7bit"),
        ])
    func encodings(text: String, encoding: String) throws {
        let message = try lines(text)
        #expect(message.field("Content-Transfer-Encoding") == encoding)
        #expect(message.bytes.allSatisfy { $0 < 0x80 && $0 != 0 } && !message.needs8BitMIME)
        #expect(message.lineLengths.allSatisfy { $0 <= 998 })
    }

    @Test("RFC 2046 §4.1.2: the charset is the least that holds the text")
    func charsets() throws {
        #expect(try lines("a").field("Content-Type") == "text/plain; charset=us-ascii")
        #expect(try lines("ä").field("Content-Type") == "text/plain; charset=utf-8")
        let html = try Lines(.sample { $0.html = Array("<p>ä</p>".utf8) })
        #expect(html.field("Content-Type") == "text/html; charset=utf-8")
    }

    @Test("RFC 2045 §6.7: quoted-printable lines have at most 76 characters, blanks at their ends are encoded")
    func quotedPrintable() throws {
        for length in 60...160 {
            let text =
                String(repeating: "a", count: length) + "é \n" + String(repeating: "b ", count: length) + "\t\n x"
            let message = try lines(text)
            #expect(message.field("Content-Transfer-Encoding") == "quoted-printable")
            #expect(message.lineLengths.allSatisfy { $0 <= 76 })
            for line in message.body.split(separator: "\r\n") {
                #expect(!line.hasSuffix(" ") && !line.hasSuffix("\t"))
            }
        }
    }

    @Test("RFC 2049 §3: no quoted-printable line begins with a dot or with From")
    func gateways() throws {
        #expect(try lines("é\n.\n..\nFrom me\nFromage\n").body == "=C3=A9\r\n=2E\r\n=2E.\r\n=46rom me\r\nFromage\r\n")
        let dots = try lines("é" + String(repeating: ".", count: 400)).body
        #expect(dots.split(separator: "\r\n").count > 5)
        #expect(dots.split(separator: "\r\n").allSatisfy { !$0.hasPrefix(".") && $0.utf8.count <= 76 })
    }

    @Test(
        "RFC 2045 §6.8: base64 lines have at most 76 characters", arguments: [0, 1, 56, 57, 58, 113, 114, 115, 10_000])
    func base64(count: Int) throws {
        let data = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7) }
        let message = try Lines(.sample { $0.attachments = [Attachment(name: "a", data: data)] })
        #expect(message.lineLengths.allSatisfy { $0 <= 78 })
        let encoded = message.body.split(separator: "\r\n").filter { !$0.contains("-") && !$0.contains("_") }
        #expect(encoded.allSatisfy { $0.utf8.count <= 76 })
        #expect(encoded.reduce(0) { $0 + $1.utf8.count } == (count + 2) / 3 * 4)
    }
}
