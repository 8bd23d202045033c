// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import NIOCore
import Testing

@Suite("What follows DATA")
struct DotStuffingTests {
    private static let table: [(String, String)] = [
        ("", ".\r\n"),
        ("hi\r\n", "hi\r\n.\r\n"),
        ("hi", "hi\r\n.\r\n"),
        (".\r\n", "..\r\n.\r\n"),
        (".", "..\r\n.\r\n"),
        ("..\r\n", "...\r\n.\r\n"),
        (".a\r\n.b\r\nc.\r\n", "..a\r\n..b\r\nc.\r\n.\r\n"),
        ("a\r\n.\r\nMAIL FROM:<x>\r\n", "a\r\n..\r\nMAIL FROM:<x>\r\n.\r\n"),
        ("\r\n\r\n", "\r\n\r\n.\r\n"),
        ("\r\n.", "\r\n..\r\n.\r\n"),
        ("a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"),
        ("a\r.\rb", "a\r\n..\r\nb\r\n.\r\n"),
        ("a\r\n.\rb\r\n", "a\r\n..\r\nb\r\n.\r\n"),
        ("a\r\r\nb\r\n", "a\r\n\r\nb\r\n.\r\n"),
        ("\n", "\r\n.\r\n"),
        ("\r", "\r\n.\r\n"),
        ("\n\r", "\r\n\r\n.\r\n"),
    ]

    @Test("RFC 5321 §4.5.2 and §2.3.8: dots doubled, no CR or LF alone, one end of data", arguments: table)
    func whole(message: String, wire: String) {
        #expect(DotStuffing.wire(ByteBuffer(string: message)) == wire)
    }

    @Test("it does not matter where the message is cut into blocks", arguments: table)
    func cut(message: String, wire: String) {
        for blockBytes in 1...max(1, message.utf8.count) {
            #expect(
                DotStuffing.wire(ByteBuffer(string: message), blockBytes: blockBytes) == wire,
                "in blocks of \(blockBytes)")
        }
    }

    @Test("whatever the message, the wire has one end of data, its lines come back, and blocks change nothing")
    func random() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 0...24, using: &generator)).map { _ in
                [0x2E, 0x0D, 0x0A, 0x78].randomElement(using: &generator) ?? 0x78 as UInt8
            }
            let message = ByteBuffer(bytes: bytes)
            let wire = DotStuffing.wire(message)
            #expect(DotStuffing.wire(message, blockBytes: Int.random(in: 1...8, using: &generator)) == wire)
            #expect(lines(wire: wire) == lines(message: bytes), "\(bytes)")
        }
    }

    /// As a strict server reads it: lines by CRLF alone, up to the lone dot, which must be the last.
    private func lines(wire: String) -> [String]? {
        var rest = Array(wire.utf8)[...]
        var lines: [String] = []
        while let end = rest.indices.dropLast().first(where: { rest[$0] == 13 && rest[$0 + 1] == 10 }) {
            let line = rest[..<end]
            rest = rest[(end + 2)...]
            if line.contains(13) || line.contains(10) { return nil }
            if Array(line) == [0x2E] { return rest.isEmpty ? lines : nil }
            lines.append(String(decoding: line.first == 0x2E ? line.dropFirst() : line, as: UTF8.self))
        }
        return nil
    }

    /// The lines as the message means them: CRLF, CR and LF each end one.
    private func lines(message: [UInt8]) -> [String] {
        var lines: [String] = []
        var line = ""
        var index = 0
        while index < message.count {
            if message[index] == 13 || message[index] == 10 {
                if message[index] == 13 && index + 1 < message.count && message[index + 1] == 10 { index += 1 }
                lines.append(line)
                line = ""
            } else {
                line.unicodeScalars.append(Unicode.Scalar(message[index]))
            }
            index += 1
        }
        return line.isEmpty ? lines : lines + [line]
    }
}

extension DotStuffing {
    static func wire(_ message: ByteBuffer, blockBytes: Int = .max) -> String {
        var output = ByteBuffer()
        var start = 0
        while start < message.readableBytes {
            let end = min(message.readableBytes, start + min(blockBytes, message.readableBytes))
            append(start..<end, of: message, to: &output)
            start = end
        }
        finish(message, to: &output)
        return String(buffer: output)
    }
}
