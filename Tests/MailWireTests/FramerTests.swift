// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Testing

@Suite struct FramerTests {
    @Test("messages come out the same however the stream is cut", arguments: 1...12)
    func pieces(_ size: Int) throws {
        let stream = Array("one\u{0}two\u{0}\u{0}three\u{0}rest".utf8)
        var framer = Framer.varlink()
        var messages: [String] = []
        for start in stride(from: 0, to: stream.count, by: size) {
            framer.append(stream[start..<min(start + size, stream.count)])
            while let message = try framer.next() { messages.append(String(decoding: message, as: UTF8.self)) }
        }
        #expect(messages == ["one", "two", "", "three"])
        #expect(framer.rest == Array("rest".utf8))
    }

    @Test("a message may have as many bytes as allowed, not one more")
    func bound() throws {
        var framer = Framer.lines(bytesMax: 4)
        framer.append("1234\n123".utf8)
        #expect(try framer.next() == Array("1234".utf8))
        #expect(try framer.next() == nil)
        framer.append("45".utf8)
        #expect(throws: Framer.TooLong.self) { try framer.next() }
        var other = Framer.lines(bytesMax: 4)
        other.append("12345\n".utf8)
        #expect(throws: Framer.TooLong.self) { try other.next() }
    }
}
