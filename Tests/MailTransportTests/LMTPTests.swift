// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import Testing

@Suite("Mails by LMTP")
struct LMTPTests {
    private let envelope = "MAIL FROM:<a@example.org>\nRCPT TO:<b@example.com>\nRCPT TO:<c@example.com>\n"

    private func exchange(_ extensions: [String] = ["PIPELINING"], chunk: Int = 1 << 20) -> Exchange {
        Exchange(offering: extensions) {
            $0.mailProtocol = .lmtp
            $0.chunkBytesMax = chunk
        }
    }

    @Test("RFC 2033 §4.1: LHLO, and no HELO after it")
    func hello() {
        let exchange = Exchange { $0.mailProtocol = .lmtp }
        #expect(exchange.says("220 mx") == "LHLO client.example\n")
        #expect(exchange.says("500 5.5.1 what?") == "QUIT\n")
        #expect(exchange.dialogue.isClosed && exchange.dialogue.ending == Reply(500, "5.5.1", "what?"))
    }

    @Test("RFC 2033 §4.2: a reply for each recipient that was accepted, in their order", arguments: [true, false])
    func verdicts(pipelining: Bool) {
        let exchange = exchange(pipelining ? ["PIPELINING"] : [])
        exchange.submit(to: "b@example.com", "x@example.com", "c@example.com", "d@example.com")
        for reply in ["250 ok", "250 ok", "550 5.1.1 unknown", "250 ok", "250 ok"] { exchange.says(reply) }
        #expect(exchange.says("354 go") == "hi\n.\n")
        exchange.says("250 2.0.0 delivered")
        exchange.says("452 4.2.2 full")
        #expect(exchange.verdicts == [])
        exchange.says("554 5.6.0 no")
        #expect(exchange.verdicts == ["delivered 250", "rejected 550", "deferred 452", "rejected 554"])
        #expect(exchange.dialogue.room == (pipelining ? 2 : 1))
    }

    @Test("RFC 2033 §4.3: the same by BDAT LAST, with the next envelope behind it")
    func chunked() {
        let exchange = exchange(["PIPELINING", "CHUNKING"])
        #expect(exchange.submit(to: "b@example.com", "c@example.com") == envelope)
        exchange.submit(to: "b@example.com", "c@example.com")
        exchange.says("250 ok")
        exchange.says("250 ok")
        #expect(exchange.says("250 ok") == "BDAT 4 LAST\nhi\n" + envelope)
        for reply in ["250 ok", "451 4.2.0 no", "250 ok", "550 no"] { exchange.says(reply) }
        #expect(exchange.says("250 ok") == "BDAT 4 LAST\nhi\n")
        exchange.says("250 ok")
        #expect(exchange.verdicts == ["delivered 250", "deferred 451", "rejected 550", "delivered 250"])
    }

    @Test("chunks are awaited one by one, each with one reply, for the last alone has many")
    func chunks() {
        let exchange = exchange(["PIPELINING", "CHUNKING"], chunk: 3)
        exchange.submit(to: "b@example.com", "c@example.com", message: "1234\r\n")
        exchange.says("250 ok")
        exchange.says("250 ok")
        #expect(exchange.says("250 ok") == "BDAT 3\n123")
        #expect(exchange.says("250 3 octets") == "BDAT 3 LAST\n4\n")
        exchange.says("250 b")
        exchange.says("250 c")
        #expect(exchange.settled[0].verdicts.map(\.reply.text) == ["b", "c"])

        exchange.submit(to: "b@example.com", "c@example.com", message: "1234\r\n")
        for reply in ["250 ok", "250 ok", "250 ok"] { exchange.says(reply) }
        #expect(exchange.says("452 4.3.1 full") == "RSET\n")
        #expect(exchange.verdicts.suffix(2) == ["deferred 452", "deferred 452"])
    }

    @Test("lost among the last replies: who has one keeps it, of the others nobody knows", arguments: [true, false])
    func lost(isLate: Bool) {
        let exchange = exchange()
        exchange.submit(to: "b@example.com", "c@example.com", "d@example.com")
        for reply in ["250 ok", "250 ok", "250 ok", "250 ok", "354 go", "250 taken"] { exchange.says(reply) }
        if isLate { exchange.dialogue.timedOut() } else { exchange.dialogue.connectionLost("gone") }
        #expect(exchange.verdicts == ["delivered 250", "unknown 451", "unknown 451"])
    }

    @Test("421 among the last replies is the last word: the others wait")
    func shuttingDown() {
        let exchange = exchange()
        exchange.submit(to: "b@example.com", "c@example.com")
        for reply in ["250 ok", "250 ok", "250 ok", "354 go", "250 taken", "421 4.3.2 bye"] { exchange.says(reply) }
        #expect(exchange.verdicts == ["delivered 250", "deferred 421"])
        #expect(exchange.dialogue.isClosed)
    }

    @Test("RFC 2033 §4.2: nobody accepted: DATA fails and the next mail follows; a 354 ends the session")
    func nobody() {
        let exchange = exchange()
        exchange.submit(to: "b@example.com")
        for reply in ["250 ok", "550 no"] { exchange.says(reply) }
        #expect(exchange.says("503 5.5.1 no recipients") == "RSET\n")
        exchange.says("250 ok")
        exchange.submit(to: "b@example.com")
        for reply in ["250 ok", "550 no", "354 go"] { exchange.says(reply) }
        #expect(exchange.dialogue.isClosed)
        #expect(exchange.verdicts == ["rejected 550", "rejected 550"])
    }

    @Test("a refused DATA decides for all that have no verdict")
    func dataRefused() {
        let exchange = exchange()
        exchange.submit(to: "b@example.com", "c@example.com")
        for reply in ["250 ok", "250 ok", "550 no", "451 4.3.0 later"] { exchange.says(reply) }
        #expect(exchange.verdicts == ["deferred 451", "rejected 550"])
    }
}
