// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import Testing

@Suite("Mails through the dialogue")
struct DialogueMailTests {
    let envelope = "MAIL FROM:<a@example.org>\nRCPT TO:<b@example.com>\nDATA\n"

    @Test("RFC 2920 §3.1: MAIL, all RCPT and DATA in one write, DATA last")
    func pipelinedEnvelope() {
        let sent = Exchange.pipelined().submit(to: "b@example.com", "c@example.com")
        #expect(sent == "MAIL FROM:<a@example.org>\nRCPT TO:<b@example.com>\nRCPT TO:<c@example.com>\nDATA\n")
    }

    @Test("without PIPELINING strictly one command, one reply")
    func oneByOne() {
        let exchange = Exchange.plain()
        #expect(exchange.submit(to: "b@example.com", "c@example.com") == "MAIL FROM:<a@example.org>\n")
        #expect(exchange.dialogue.room == 0)
        #expect(exchange.says("250 ok") == "RCPT TO:<b@example.com>\n")
        #expect(exchange.says("250 ok") == "RCPT TO:<c@example.com>\n")
        #expect(exchange.says("251 forwarded") == "DATA\n")
        #expect(exchange.says("354 go") == "hi\n.\n")
        #expect(exchange.verdicts == [])
        exchange.says("250 2.0.0 queued as 1")
        #expect(exchange.verdicts == ["delivered 250", "delivered 250"])
        #expect(exchange.settled[0].verdicts[1] == .delivered(Reply(250, "2.0.0", "queued as 1")))
    }

    @Test("RFC 5321 §4.5.5: the null sender")
    func nullSender() {
        #expect(Exchange.plain().submit(from: "", to: "b@example.com") == "MAIL FROM:<>\n")
    }

    @Test("the next envelope goes with the body when it is there at the 354")
    func chainedAtData() {
        let exchange = Exchange.pipelined()
        #expect(exchange.submit(to: "b@example.com") == envelope)
        #expect(exchange.submit(to: "b@example.com") == "")
        #expect(exchange.dialogue.room == 0)
        exchange.says("250 ok")
        exchange.says("250 ok")
        #expect(exchange.says("354 go") == "hi\n.\n" + envelope)
        #expect(exchange.says("250 first") == "")
        exchange.says("250 ok")
        exchange.says("250 ok")
        #expect(exchange.says("354 go") == "hi\n.\n")
        exchange.says("250 second")
        #expect(exchange.settled.map { $0.verdicts[0].reply.text } == ["first", "second"])
    }

    @Test("the next envelope goes at once while only the final reply is outstanding")
    func chainedBehindBody() {
        let exchange = Exchange.pipelined()
        exchange.submit(to: "b@example.com")
        for reply in ["250 ok", "250 ok", "354 go"] { exchange.says(reply) }
        #expect(exchange.submit(to: "b@example.com") == envelope)
    }

    @Test("RFC 5321 §3.3: each recipient has its own verdict, and the data goes to the rest", arguments: [true, false])
    func someRejected(pipelining: Bool) {
        let exchange = pipelining ? Exchange.pipelined() : Exchange.plain()
        exchange.submit(to: "b@example.com", "c@example.com", "d@example.com")
        for reply in ["250 ok", "550 5.1.1 unknown", "450 4.2.1 full"] { exchange.says(reply) }
        exchange.says("250 ok")
        #expect(exchange.says("354 go") == "hi\n.\n")
        exchange.says("250 ok")
        #expect(exchange.verdicts == ["rejected 550", "deferred 450", "delivered 250"])
    }

    @Test("RFC 2920 §3.1: a 354 after all recipients failed gets a lone dot, and no RSET after it")
    func allRejectedButData() {
        let exchange = Exchange.pipelined()
        exchange.submit(to: "b@example.com")
        exchange.says("250 ok")
        exchange.says("550 no")
        #expect(exchange.says("354 go") == ".\n")
        #expect(exchange.verdicts == [])
        #expect(exchange.says("554 no recipients") == "")
        #expect(exchange.verdicts == ["rejected 550"])
        #expect(exchange.submit(to: "b@example.com") == envelope)
    }

    @Test("all rejected and DATA refused: RSET, with the next envelope behind it")
    func allRejected() {
        let exchange = Exchange.pipelined()
        exchange.submit(to: "b@example.com")
        exchange.submit(to: "b@example.com")
        exchange.says("250 ok")
        exchange.says("550 no")
        #expect(exchange.says("503 no recipients") == "RSET\n" + envelope)
        #expect(exchange.verdicts == ["rejected 550"])
        for reply in ["250 reset", "250 ok", "250 ok"] { exchange.says(reply) }
        #expect(exchange.says("354 go") == "hi\n.\n")
    }

    @Test("without PIPELINING: all rejected means RSET instead of DATA, and its reply is awaited")
    func allRejectedPlain() {
        let exchange = Exchange.plain()
        exchange.submit(to: "b@example.com")
        exchange.says("250 ok")
        #expect(exchange.says("550 no") == "RSET\n")
        #expect(exchange.dialogue.awaited == .reset)
        #expect(exchange.submit(to: "b@example.com") == "")
        #expect(exchange.says("250 ok") == "MAIL FROM:<a@example.org>\n")
    }

    @Test("a server that refuses RSET is left; the mail that waited for it is deferred")
    func resetRefused() {
        let exchange = Exchange.plain()
        exchange.submit(to: "b@example.com")
        exchange.says("250 ok")
        exchange.says("550 no")
        exchange.submit(to: "b@example.com")
        exchange.says("502 what?")
        #expect(exchange.dialogue.isClosed)
        #expect(exchange.verdicts == ["rejected 550", "deferred 502"])
    }

    @Test(
        "a refused MAIL decides for all, whatever is said to RCPT and DATA",
        arguments: [("451 later", "deferred 451"), ("550 no", "rejected 550")])
    func mailRefused(reply: String, verdict: String) {
        let exchange = Exchange.pipelined()
        exchange.submit(to: "b@example.com", "c@example.com")
        for line in [reply, "503 need MAIL", "250 odd", "503 need RCPT"] { exchange.says(line) }
        #expect(exchange.verdicts == [verdict, verdict])
        #expect(exchange.submit(to: "b@example.com") == envelope, "no transaction is open, so no RSET")

        let plain = Exchange.plain()
        plain.submit(to: "b@example.com")
        #expect(plain.says(reply) == "")
        #expect(plain.verdicts == [verdict])
    }

    @Test(
        "a refused DATA decides for those without a verdict",
        arguments: [("451 later", "deferred 451"), ("554 no", "rejected 554")])
    func dataRefused(reply: String, verdict: String) {
        let exchange = Exchange.plain()
        exchange.submit(to: "b@example.com", "c@example.com")
        for line in ["250 ok", "550 no", "250 ok"] { exchange.says(line) }
        #expect(exchange.says(reply) == "RSET\n")
        #expect(exchange.verdicts == ["rejected 550", verdict])
    }

    @Test(
        "the final reply decides for those without a verdict",
        arguments: [("452 full", "deferred 452"), ("554 spam", "rejected 554")])
    func finalRefused(reply: String, verdict: String) {
        let exchange = Exchange.pipelined()
        exchange.submit(to: "b@example.com")
        for line in ["250 ok", "250 ok", "354 go"] { exchange.says(line) }
        #expect(exchange.says(reply) == "")
        #expect(exchange.verdicts == [verdict])
        #expect(exchange.dialogue.room == 2)
    }

    @Test(
        "RFC 5321 §4.5.3.1.10: 552 to a later RCPT may mean too many, and defers",
        arguments: [
            ("552 too many", "deferred 552"), ("552 5.5.3 too many", "deferred 552"),
            ("552 5.2.2 mailbox full", "rejected 552"),
        ])
    func tooManyRecipients(reply: String, verdict: String) {
        let exchange = Exchange.pipelined()
        exchange.submit(to: "b@example.com", "c@example.com")
        for line in ["250 ok", "250 ok", reply, "354 go", "250 ok"] { exchange.says(line) }
        #expect(exchange.verdicts == ["delivered 250", verdict])
    }

    @Test("RFC 1870: SIZE is declared without dot-stuffing, and over it nothing is sent")
    func size() {
        let exchange = Exchange(offering: ["SIZE 10"])
        #expect(exchange.submit(to: "b@example.com", message: "..34567\r\n") == "MAIL FROM:<a@example.org> SIZE=9\n")
        let small = Exchange(offering: ["SIZE 10"])
        #expect(small.submit(to: "b@example.com", "c@example.com", message: "1234567890\r\n") == "")
        let reason = Reply(552, "5.3.4", "the message has 12 octets, mx.example:25 takes at most 10")
        #expect(small.settled.first?.verdicts == [.rejected(reason), .rejected(reason)])
        #expect(small.dialogue.room == 1, "the connection is as good as before")
    }

    @Test("RFC 6152: BODY=8BITMIME where it is needed and offered; where it is not offered the mail is refused")
    func eightBit() {
        let offered = Exchange(offering: ["8BITMIME"])
        #expect(offered.submit(to: "b@example.com", needs8Bit: true) == "MAIL FROM:<a@example.org> BODY=8BITMIME\n")
        #expect(Exchange(offering: ["8BITMIME"]).submit(to: "b@example.com") == "MAIL FROM:<a@example.org>\n")
        let plain = Exchange.plain()
        #expect(plain.submit(to: "b@example.com", needs8Bit: true) == "")
        #expect(plain.settled.first?.verdicts[0].reply.enhanced == "5.6.3")
        #expect(plain.verdicts == ["rejected 554"])
    }

    @Test("RFC 6531: SMTPUTF8 where an address needs it; where it is not offered only that recipient fails")
    func international() {
        let offered = Exchange(offering: ["SMTPUTF8"])
        #expect(offered.submit(to: "jürgen@example.com") == "MAIL FROM:<a@example.org> SMTPUTF8\n")
        let plain = Exchange.pipelined()
        #expect(plain.submit(to: "jürgen@example.com", "b@example.com") == envelope)
        for line in ["250 ok", "250 ok", "354 go", "250 ok"] { plain.says(line) }
        #expect(plain.verdicts == ["rejected 553", "delivered 250"])
        let sender = Exchange.pipelined()
        #expect(sender.submit(from: "ü@example.org", to: "b@example.com", "c@example.com") == "")
        #expect(sender.verdicts == ["rejected 553", "rejected 553"])
    }

    @Test("RFC 6531 §3.2: a header beyond ASCII needs SMTPUTF8 for every recipient, whatever their addresses")
    func internationalHeader() {
        let offered = Exchange(offering: ["SMTPUTF8"])
        #expect(offered.submit(to: "b@example.com", needsUTF8: true) == "MAIL FROM:<a@example.org> SMTPUTF8\n")
        let plain = Exchange.pipelined()
        #expect(plain.submit(to: "b@example.com", "c@example.com", needsUTF8: true) == "")
        #expect(plain.verdicts == ["rejected 553", "rejected 553"])
        #expect(plain.settled.first?.verdicts[0].reply.enhanced == "5.6.7")
    }

    @Test(
        "no address breaks out of its brackets",
        arguments: ["b@x> SIZE=1", "b@x\r\nDATA", "b@x\nDATA", "<b@x", "b\u{0}@x", "\"b@x", "\"b\\", ""])
    func injection(address: String) {
        let exchange = Exchange.pipelined()
        #expect(
            exchange.submit(to: "c@example.com", address)
                == "MAIL FROM:<a@example.org>\nRCPT TO:<c@example.com>\nDATA\n")
        guard !address.isEmpty else { return }
        let sender = Exchange.pipelined()
        #expect(sender.submit(from: address, to: "b@example.com") == "")
        #expect(sender.verdicts == ["rejected 553"])
    }

    @Test("a quoted local part may hold spaces and brackets")
    func quoted() {
        #expect(AddressForm("\"a > b\\\"\"@example.com") == .ascii)
    }

    @Test("a long message is written in blocks, and the next envelope behind the last")
    func blocks() {
        let line = String(repeating: "x", count: 998) + "\r\n"
        let message = ByteBuffer(string: String(repeating: line, count: 200))
        let exchange = Exchange.pipelined()
        exchange.submit("a@example.org", ["b@example.com"], message)
        exchange.submit(to: "b@example.com")
        exchange.says("250 ok")
        exchange.says("250 ok")
        exchange.dialogue.outbound.clear()
        var parser = ReplyParser()
        parser.feed(ByteBuffer(string: "354 go\r\n"))
        if let reply = try? parser.next() { exchange.dialogue.received(reply) }
        #expect(exchange.dialogue.outbound.readableBytes == Dialogue.blockBytesMax)
        #expect(exchange.dialogue.hasMoreBody && exchange.dialogue.awaited == .body)
        let sent = exchange.sent()
        #expect(sent.hasSuffix("x\n.\n" + envelope))
        #expect(exchange.dialogue.awaited == .end)
    }
}
