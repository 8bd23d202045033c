// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import Testing

@Suite("The session around the mails")
struct DialogueSessionTests {
    @Test("RFC 5321 §3.1: EHLO follows the greeting, and capabilities are read from its reply")
    func hello() {
        let exchange = Exchange()
        #expect(exchange.says("220-mx.example") == "")
        #expect(exchange.says("220 ready") == "EHLO client.example\n")
        exchange.says("250-mx.example greets you")
        exchange.says("250-pipelining")
        exchange.says("250-SIZE 1000")
        exchange.says("250-8BITMIME")
        exchange.says("250 SMTPUTF8")
        var expected = Capabilities()
        expected.pipelining = true
        expected.size = true
        expected.messageBytesMax = 1000
        expected.eightBitMIME = true
        expected.smtpUTF8 = true
        #expect(exchange.dialogue.capabilities == expected)
        #expect(exchange.dialogue.phase == .ready)
    }

    @Test("the first line of the reply to EHLO is a greeting, even if it reads like an extension")
    func firstLine() {
        #expect(Capabilities(ehlo: ["PIPELINING"]) == Capabilities())
    }

    @Test("RFC 1870 §4: SIZE without a number, or with 0, sets no maximum", arguments: ["SIZE", "SIZE 0", "SIZE x"])
    func sizeWithoutMaximum(line: String) {
        let capabilities = Capabilities(ehlo: ["mx", line])
        #expect(capabilities.size)
        #expect(capabilities.messageBytesMax == nil)
    }

    @Test("RFC 5321 §3.2: HELO where EHLO is not understood, and no extension after it", arguments: [500, 502, 550])
    func heloFallback(code: Int) {
        let exchange = Exchange()
        exchange.says("220 old")
        #expect(exchange.says("\(code) what?") == "HELO client.example\n")
        exchange.says("250 PIPELINING")
        #expect(exchange.dialogue.room == 1)
        #expect(exchange.submit(to: "b@example.com") == "MAIL FROM:<a@example.org>\n")
    }

    @Test(
        "a server that refuses the session says nothing about the mail", arguments: ["421 busy", "450 no", "554 never"])
    func greetingRefused(greeting: String) {
        let exchange = Exchange()
        exchange.says(greeting)
        #expect(exchange.dialogue.isClosed)
        #expect(!exchange.dialogue.wasReady)
        #expect(exchange.dialogue.ending?.code == Int(greeting.prefix(3)))
    }

    @Test("a 5yz greeting is answered by QUIT")
    func refusedQuits() {
        #expect(Exchange().says("554 go away") == "QUIT\n")
    }

    @Test("a temporary refusal of EHLO, or a refusal of HELO, ends the session")
    func helloRefused() {
        let temporary = Exchange()
        temporary.says("220 mx")
        temporary.says("451 later")
        #expect(temporary.dialogue.ending?.code == 451)
        let both = Exchange()
        both.says("220 mx")
        both.says("502 what?")
        both.says("550 no")
        #expect(both.dialogue.ending?.code == 550)
    }

    @Test("what is no reply ends the session with its words")
    func garbage() {
        let exchange = Exchange()
        exchange.says("SSH-2.0-OpenSSH_9.2")
        #expect(exchange.dialogue.isClosed)
        #expect(exchange.dialogue.ending?.text.contains("SSH-2.0-OpenSSH_9.2") == true)
    }

    @Test("QUIT at once when idle, after the mails in hand when not")
    func quit() {
        let idle = Exchange.pipelined()
        idle.dialogue.quit()
        #expect(idle.sent() == "QUIT\n")
        #expect(idle.dialogue.awaited == .quit)
        idle.says("221 bye")
        #expect(idle.dialogue.isClosed)

        let busy = Exchange.plain()
        busy.submit(to: "b@example.com")
        busy.dialogue.quit()
        #expect(busy.dialogue.room == 0)
        #expect(busy.says("250 ok") == "RCPT TO:<b@example.com>\n")
        #expect(busy.says("250 ok") == "DATA\n")
        #expect(busy.says("354 go") == "hi\n.\n")
        #expect(busy.says("250 ok") == "QUIT\n")
        #expect(busy.verdicts == ["delivered 250"])
    }

    @Test("QUIT after messagesMax mails, and no room for more")
    func messagesMax() {
        let exchange = Exchange(offering: ["PIPELINING"], messagesMax: 1)
        exchange.submit(to: "b@example.com")
        #expect(exchange.dialogue.room == 0)
        for reply in ["250 ok", "250 ok", "354 go"] { exchange.says(reply) }
        #expect(exchange.says("250 ok") == "QUIT\n")
    }

    @Test("a close by the server while idle is quiet", arguments: ["421 idle too long", "250 surprise"])
    func idleClose(line: String) {
        let exchange = Exchange.pipelined()
        exchange.says(line)
        #expect(exchange.dialogue.isClosed)
        #expect(exchange.dialogue.ending == nil)
        #expect(exchange.verdicts == [])
    }

    @Test("RFC 5321 §4.5.3.2: no step is given less than the minimum")
    func patience() {
        let minimum: [SMTPStage: Int64] = [
            .greeting: 300, .mail: 300, .recipient: 300, .data: 120, .body: 180, .end: 600,
        ]
        for (stage, seconds) in minimum { #expect(stage.patience >= seconds) }
    }

    @Test("what is awaited follows the dialogue step by step")
    func awaited() {
        let exchange = Exchange()
        var stages = [exchange.dialogue.awaited]
        for line in ["220 mx", "250 mx"] {
            exchange.says(line)
            stages.append(exchange.dialogue.awaited)
        }
        exchange.submit(to: "b@example.com")
        stages.append(exchange.dialogue.awaited)
        for line in ["250 ok", "250 ok", "354 go", "250 ok"] {
            exchange.says(line)
            stages.append(exchange.dialogue.awaited)
        }
        #expect(stages == [.greeting, .hello, nil, .mail, .recipient, .data, .end, nil])
    }
}
