// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import Testing

@Suite("Messages by BDAT")
struct ChunkingTests {
    private let envelope = "MAIL FROM:<a@example.org>\nRCPT TO:<b@example.com>\n"

    private func exchange(_ extensions: [String] = ["PIPELINING", "CHUNKING"], chunk: Int = 1 << 20) -> Exchange {
        Exchange(offering: extensions) { $0.chunkBytesMax = chunk }
    }

    @Test("RFC 3030 §2: octets are counted, nothing is stuffed, and the next envelope goes in the same write")
    func chained() {
        let exchange = exchange()
        #expect(exchange.submit(to: "b@example.com", message: ".\r\n..\r\n") == envelope)
        #expect(exchange.submit(to: "b@example.com") == "")
        exchange.says("250 ok")
        #expect(exchange.says("250 ok") == "BDAT 7 LAST\n.\n..\n" + envelope)
        #expect(exchange.dialogue.awaited == .end && exchange.dialogue.awaited?.patience == 600)
        exchange.says("250 2.0.0 first")
        exchange.says("250 ok")
        #expect(exchange.says("250 ok") == "BDAT 4 LAST\nhi\n")
        exchange.says("554 second")
        #expect(exchange.verdicts == ["delivered 250", "rejected 554"])
        #expect(exchange.dialogue.room == 2)
    }

    @Test("without PIPELINING each command and each chunk waits for the reply before it")
    func oneByOne() {
        let exchange = exchange(["CHUNKING"], chunk: 3)
        #expect(exchange.submit(to: "b@example.com", message: "12345\r\n") == "MAIL FROM:<a@example.org>\n")
        #expect(exchange.says("250 ok") == "RCPT TO:<b@example.com>\n")
        #expect(exchange.says("250 ok") == "BDAT 3\n123")
        #expect(exchange.dialogue.awaited == .chunk)
        #expect(exchange.says("250 3 octets") == "BDAT 3\n45\r")
        #expect(exchange.says("250 6 octets") == "BDAT 1 LAST\n\n")
        exchange.says("250 taken")
        #expect(exchange.verdicts == ["delivered 250"])
    }

    @Test("with PIPELINING chunks do not wait, and the next envelope waits for all of them but the last")
    func pipelinedChunks() {
        let exchange = exchange(chunk: 3)
        exchange.submit(to: "b@example.com", message: "1234\r\n")
        exchange.submit(to: "b@example.com")
        exchange.says("250 ok")
        #expect(exchange.says("250 ok") == "BDAT 3\n123BDAT 3 LAST\n4\n")
        #expect(exchange.says("250 3 octets") == envelope)
        exchange.says("250 taken")
        #expect(exchange.verdicts == ["delivered 250"])
    }

    @Test("nobody accepted: no octet of the message is sent, the transaction is reset", arguments: [true, false])
    func nobody(pipelining: Bool) {
        let exchange = exchange(pipelining ? ["PIPELINING", "CHUNKING"] : ["CHUNKING"])
        exchange.submit(to: "b@example.com")
        exchange.says("250 ok")
        #expect(exchange.says("550 5.1.1 unknown") == "RSET\n")
        #expect(exchange.verdicts == ["rejected 550"])
    }

    @Test("MAIL refused: neither message nor RSET, whatever is said to RCPT")
    func senderRefused() {
        let exchange = exchange()
        exchange.submit(to: "b@example.com")
        exchange.says("451 later")
        #expect(exchange.says("250 odd") == "")
        #expect(exchange.verdicts == ["deferred 451"])
        #expect(exchange.submit(to: "b@example.com") == envelope)
    }

    @Test("a chunk that fails is the last one sent; the transaction is reset, and the connection goes on")
    func chunkFails() {
        let exchange = exchange(["CHUNKING"], chunk: 3)
        exchange.submit(to: "b@example.com", message: "123456\r\n")
        exchange.says("250 ok")
        exchange.says("250 ok")
        #expect(exchange.says("552 5.3.4 too much") == "RSET\n")
        #expect(exchange.verdicts == ["rejected 552"])
        exchange.says("250 ok")
        #expect(exchange.dialogue.room == 1)
    }

    @Test("a chunk that fails after all were sent: their replies are awaited, then RSET, and no mail goes behind")
    func chunkFailsLate() {
        let exchange = exchange(chunk: 3)
        exchange.submit(to: "b@example.com", message: "1234567\r\n")
        exchange.submit(to: "c@example.com")
        exchange.says("250 ok")
        exchange.says("250 ok")
        #expect(exchange.says("452 4.3.1 full") == "")
        #expect(exchange.says("503 5.5.1 no more") == "")
        #expect(exchange.verdicts == [])
        #expect(
            exchange.says("503 5.5.1 no more")
                == "RSET\nMAIL FROM:<a@example.org>\nRCPT TO:<c@example.com>\n")
        #expect(exchange.verdicts == ["deferred 452"])
    }

    /// A pipelined session in the middle of its second chunk, of which a block is written.
    private func midChunk() -> Exchange {
        let exchange = exchange(chunk: 2 * Dialogue.blockBytesMax)
        let message = ByteBuffer(string: String(repeating: "x", count: 6 * Dialogue.blockBytesMax - 2) + "\r\n")
        exchange.submit("a@example.org", ["b@example.com"], message)
        exchange.takesBody = false
        exchange.says("250 ok")
        let first = exchange.says("250 ok")
        #expect(first.hasPrefix("BDAT 131072\n") && first.count == 65536 + 12)
        for _ in 0..<2 { exchange.dialogue.continueBody() }
        #expect(exchange.sent().count == 65536 * 2 + 12)
        #expect(exchange.dialogue.awaited == .body)
        return exchange
    }

    @Test("a chunk that fails while the next is half written: its octets come all the same, and nothing after them")
    func chunkFailsEarly() {
        let exchange = midChunk()
        exchange.says("552 5.3.4 too much")
        #expect(exchange.verdicts == [] && exchange.dialogue.hasMoreBody)
        exchange.takesBody = true
        #expect(exchange.sent() == String(repeating: "x", count: 65536))
        #expect(exchange.dialogue.awaited == .chunk)
        #expect(exchange.says("503 5.5.1 discarded") == "RSET\n")
        #expect(exchange.verdicts == ["rejected 552"])
    }

    @Test("a chunk that fails between two: the rest is not sent")
    func chunkFailsBetween() {
        let exchange = midChunk()
        exchange.dialogue.continueBody()
        #expect(exchange.sent().count == 65536)
        exchange.says("250 first")
        #expect(exchange.says("552 5.3.4 too much") == "RSET\n")
        #expect(exchange.verdicts == ["rejected 552"])
    }

    @Test("lost within a message: deferred; RFC 5321 §4.5.3.2.6: lost after BDAT LAST: unknown")
    func lost() {
        let early = midChunk()
        early.dialogue.connectionLost("gone")
        #expect(early.verdicts == ["deferred 451"])

        let late = exchange(chunk: 3)
        late.submit(to: "b@example.com", message: "1234\r\n")
        for reply in ["250 ok", "250 ok", "250 3 octets"] { late.says(reply) }
        late.dialogue.timedOut()
        #expect(late.verdicts == ["unknown 451"])
    }

    @Test("a reply that no chunk is owed ends the session")
    func surplus() {
        let exchange = exchange(chunk: 2 * Dialogue.blockBytesMax)
        let message = ByteBuffer(string: String(repeating: "x", count: 6 * Dialogue.blockBytesMax - 2) + "\r\n")
        exchange.submit("a@example.org", ["b@example.com"], message)
        exchange.takesBody = false
        for reply in ["250 ok", "250 ok", "250 early"] { exchange.says(reply) }
        #expect(!exchange.dialogue.isClosed)
        exchange.says("250 what for?")
        #expect(exchange.dialogue.isClosed && exchange.verdicts == ["deferred 451"])
    }

    @Test(
        "RFC 5321 §2.3.8: a message with a CR or LF of its own, or no end, goes behind DATA, where that is mended",
        arguments: ["a\rb\r\n", "a\nb\r\n", "a\n", "a", "a\r\r\n", "\n\r\n", "a\r\n\r", "", "\r", "\n"])
    func improper(message: String) {
        let exchange = exchange()
        #expect(exchange.submit(to: "b@example.com", message: message) == envelope + "DATA\n")
    }

    @Test("proper lines go by BDAT", arguments: ["\r\n", "a\r\n", "\r\n\r\n", "a\r\n\r\nb\r\n", ".\r\n"])
    func proper(message: String) {
        #expect(exchange().submit(to: "b@example.com", message: message) == envelope)
    }

    @Test("CHUNKING is used where it is offered, and not where it is to be ignored")
    func ignored() {
        let exchange = Exchange(offering: ["PIPELINING", "chunking", "SIZE 10"]) {
            $0.ignoredExtensions = ["CHUNKING", "SIZE"]
        }
        #expect(exchange.submit(to: "b@example.com", message: "more than 10 octets\r\n") == envelope + "DATA\n")
        let session = Exchange(offering: ["CHUNKING", "PIPELINING"]) { $0.ignoredExtensions = ["PIPELINING"] }
        #expect(session.submit(to: "b@example.com") == "MAIL FROM:<a@example.org>\n")
        #expect(session.dialogue.room == 0)
    }

    @Test("whatever is cut where, what the server puts together is the message")
    func whole() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            let lines = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                String(repeating: ".x", count: Int.random(in: 0...30, using: &generator)) + "\r\n"
            }
            let message = ByteBuffer(string: lines.joined() + "end\r\n")
            let exchange = exchange(chunk: Int.random(in: 1...50, using: &generator))
            exchange.submit("a@example.org", ["b@example.com"], message)
            exchange.says("250 ok")
            exchange.wire.clear()
            exchange.says("250 ok")
            #expect(Self.assembled(exchange.wire) == message)
        }
    }

    /// As a server reads it: so many octets behind each command. nil where anything else stands there.
    private static func assembled(_ wire: ByteBuffer) -> ByteBuffer? {
        var wire = wire
        var message = ByteBuffer()
        while let end = wire.readableBytesView.firstIndex(of: 0x0A) {
            guard let line = wire.readString(length: end + 1 - wire.readerIndex), line.hasSuffix("\r\n") else {
                return nil
            }
            let words = line.dropLast().split(separator: " ")
            guard words[0] == "BDAT", let count = Int(words[1]), var chunk = wire.readSlice(length: count) else {
                return nil
            }
            message.writeBuffer(&chunk)
            if words.last == "LAST" { return wire.readableBytes == 0 ? message : nil }
        }
        return nil
    }
}
