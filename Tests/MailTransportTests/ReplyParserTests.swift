// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import Testing

@Suite("Replies from octets")
struct ReplyParserTests {
    private static let table: [(String, [Reply])] = [
        ("250 ok\r\n", [Reply(250, "", "ok")]),
        ("250\r\n", [Reply(250)]),
        ("250 \r\n", [Reply(250)]),
        ("250 lf alone\n", [Reply(250, "", "lf alone")]),
        ("250-one\r\n250-two\r\n250 three\r\n", [Reply(250, "", "one two three")]),
        ("250-\r\n250 second\r\n", [Reply(250, "", "second")]),
        ("250 2.1.5 ok\r\n", [Reply(250, "2.1.5", "ok")]),
        ("550 5.1.1\r\n", [Reply(550, "5.1.1", "")]),
        (
            "550-5.7.26 This mail\r\n550-5.7.26 is not\r\n550 5.7.26 wanted.\r\n",
            [Reply(550, "5.7.26", "This mail is not wanted.")]
        ),
        ("550 5.1.1.2 four parts\r\n", [Reply(550, "", "5.1.1.2 four parts")]),
        ("550 4.1.1 other class\r\n", [Reply(550, "", "4.1.1 other class")]),
        ("550 5.1111.1 too long\r\n", [Reply(550, "", "5.1111.1 too long")]),
        ("354 go\r\n250 2.0.0 done\r\n", [Reply(354, "", "go"), Reply(250, "2.0.0", "done")]),
        ("451 a\tb\u{1B}[31mc\u{7F}d\u{0}e\r\n", [Reply(451, "", "a b [31mc d e")]),
        ("451 \u{9B}31m\r\n", [Reply(451, "", "  31m")]),
        ("550 gelöscht €\r\n", [Reply(550, "", "gelöscht €")]),
    ]

    @Test("RFC 5321 §4.2.1, RFC 2034 §4: each reply is read as it stands, its status apart", arguments: table)
    func whole(text: String, replies: [Reply]) throws {
        var parser = ReplyParser()
        parser.feed(ByteBuffer(string: text))
        #expect(try all(&parser) == replies)
    }

    @Test("it does not matter where the octets are cut", arguments: table)
    func split(text: String, replies: [Reply]) throws {
        let bytes = Array(text.utf8)
        for cut in 0...bytes.count {
            var parser = ReplyParser()
            parser.feed(ByteBuffer(bytes: bytes[..<cut]))
            var found = try all(&parser)
            parser.feed(ByteBuffer(bytes: bytes[cut...]))
            found += try all(&parser)
            #expect(found == replies, "cut at \(cut)")
        }
        var parser = ReplyParser()
        var found: [Reply] = []
        for byte in bytes {
            parser.feed(ByteBuffer(bytes: [byte]))
            found += try all(&parser)
        }
        #expect(found == replies, "octet by octet")
    }

    @Test(
        "what is no reply is an error that shows it",
        arguments: [
            "hello\r\n", "25\r\n", "\r\n", "250x ok\r\n", "150 early\r\n", "650 late\r\n", "2a0 x\r\n",
            "250-a\r\n550 b\r\n",
        ])
    func malformed(text: String) {
        var parser = ReplyParser()
        parser.feed(ByteBuffer(string: text))
        #expect { _ = try parser.next() } throws: { error in
            if case ReplyError.malformed(let line) = error { return text.contains(line.prefix(2)) }
            return false
        }
    }

    @Test("a line may have replyLineBytesMax octets and no more, with or without an end")
    func lineTooLong() throws {
        var parser = ReplyParser()
        parser.feed(ByteBuffer(string: "250 " + String(repeating: "x", count: Limits.replyLineBytesMax - 6) + "\r\n"))
        #expect(try all(&parser).count == 1)
        parser.feed(ByteBuffer(string: "250 " + String(repeating: "x", count: Limits.replyLineBytesMax)))
        #expect(throws: ReplyError.lineTooLong) { try parser.next() }
        var ended = ReplyParser()
        ended.feed(ByteBuffer(string: "250 " + String(repeating: "x", count: Limits.replyLineBytesMax) + "\r\n"))
        #expect(throws: ReplyError.lineTooLong) { try ended.next() }
    }

    @Test("a reply may have replyLinesMax lines and no more")
    func tooManyLines() throws {
        var parser = ReplyParser()
        parser.feed(ByteBuffer(string: String(repeating: "250-x\r\n", count: Limits.replyLinesMax - 1) + "250 x\r\n"))
        #expect(try all(&parser).count == 1)
        parser.feed(ByteBuffer(string: String(repeating: "250-x\r\n", count: Limits.replyLinesMax) + "250 x\r\n"))
        #expect(throws: ReplyError.tooManyLines) { try parser.next() }
    }

    @Test("a long text is cut between characters")
    func cut() throws {
        for padding in 0..<3 {
            var parser = ReplyParser()
            let text = String(repeating: "x", count: padding) + String(repeating: "€", count: 400)
            parser.feed(ByteBuffer(string: "550 \(text)\r\n"))
            let reply = try #require(try all(&parser).first)
            #expect(reply.text.utf8.count <= Limits.replyTextBytesMax)
            #expect(reply.text.utf8.count > Limits.replyTextBytesMax - 6)
            #expect(text.hasPrefix(reply.text))
        }
    }

    @Test("invalid UTF-8 is repaired")
    func invalidUTF8() throws {
        var parser = ReplyParser()
        parser.feed(ByteBuffer(bytes: Array("550 a".utf8) + [0xFF, 0x62, 0x0D, 0x0A]))
        #expect(try all(&parser) == [Reply(550, "", "a\u{FFFD}b")])
    }

    private func all(_ parser: inout ReplyParser) throws -> [Reply] {
        var replies: [Reply] = []
        while let reply = try parser.next() { replies.append(reply.reply) }
        return replies
    }
}
