// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import Testing

@Suite("Connections that die")
struct DialogueDeathTests {
    /// A pipelined session after so many of the server's replies to the first mail; a second one waits behind it.
    private func exchange(after replies: Int) -> Exchange {
        let exchange = Exchange.pipelined()
        exchange.submit(to: "b@example.com")
        exchange.submit(to: "c@example.com")
        for reply in ["250 ok", "250 ok", "354 go"].prefix(replies) { exchange.says(reply) }
        return exchange
    }

    @Test("lost before the end of data was written: deferred", arguments: [0, 1, 2])
    func lostEarly(replies: Int) {
        let exchange = exchange(after: replies)
        exchange.dialogue.connectionLost("Connection reset by peer")
        #expect(exchange.verdicts == ["deferred 451", "deferred 451"])
        #expect(exchange.settled[0].verdicts[0].reply.text.hasSuffix("Connection reset by peer"))
        #expect(exchange.settled[0].verdicts[0].reply.enhanced == "4.4.2")
    }

    @Test("RFC 5321 §4.5.3.2.6: lost after the end of data was written: unknown; the chained envelope is deferred")
    func lostLate() {
        let exchange = exchange(after: 3)
        exchange.dialogue.connectionLost("the server closed it")
        #expect(exchange.verdicts == ["unknown 451", "deferred 451"])
    }

    @Test("a verdict that was given before the connection died is kept")
    func keptVerdict() {
        let exchange = Exchange.pipelined()
        exchange.submit(to: "b@example.com", "c@example.com")
        for reply in ["250 ok", "550 no", "250 ok", "354 go"] { exchange.says(reply) }
        exchange.dialogue.connectionLost("gone")
        #expect(exchange.verdicts == ["rejected 550", "unknown 451"])
    }

    @Test("lost after a lone dot: nothing was sent, so nothing is unknown")
    func lostAfterLoneDot() {
        let exchange = Exchange.pipelined()
        exchange.submit(to: "b@example.com")
        for reply in ["250 ok", "550 no", "354 go"] { exchange.says(reply) }
        exchange.dialogue.connectionLost("gone")
        #expect(exchange.verdicts == ["rejected 550"])
    }

    @Test("in the middle of a long message: deferred, since the end of data was not written")
    func lostInBody() {
        let exchange = Exchange.pipelined()
        exchange.submit("a@example.org", ["b@example.com"], ByteBuffer(repeating: 0x78, count: 300_000))
        exchange.says("250 ok")
        exchange.says("250 ok")
        var parser = ReplyParser()
        parser.feed(ByteBuffer(string: "354 go\r\n"))
        if let reply = try? parser.next() { exchange.dialogue.received(reply) }
        exchange.dialogue.connectionLost("gone")
        #expect(exchange.verdicts == ["deferred 451"])
    }

    @Test("a refusal in the middle of a long message decides, and ends the session")
    func refusedInBody() {
        let exchange = Exchange.pipelined()
        exchange.submit("a@example.org", ["b@example.com"], ByteBuffer(repeating: 0x78, count: 300_000))
        var parser = ReplyParser()
        parser.feed(ByteBuffer(string: "250 ok\r\n250 ok\r\n354 go\r\n552 5.3.4 too big\r\n"))
        while let reply = try? parser.next() { exchange.dialogue.received(reply) }
        #expect(exchange.verdicts == ["rejected 552"])
        #expect(exchange.dialogue.isClosed)
    }

    @Test("421 at any time closes, and defers whoever has no verdict", arguments: [0, 1, 2, 3])
    func shuttingDown(replies: Int) {
        let exchange = exchange(after: replies)
        exchange.says("421 4.3.2 shutting down")
        #expect(exchange.dialogue.isClosed)
        #expect(exchange.verdicts == ["deferred 421", "deferred 421"])
    }

    @Test("too slow: deferred, after the end of data unknown", arguments: [(0, "deferred 451"), (3, "unknown 451")])
    func timedOut(replies: Int, verdict: String) {
        let exchange = exchange(after: replies)
        exchange.dialogue.timedOut()
        #expect(exchange.verdicts == [verdict, "deferred 451"])
        #expect(exchange.dialogue.isClosed)
    }

    @Test("garbage is as bad as a lost connection", arguments: [(1, "deferred 451"), (3, "unknown 451")])
    func garbled(replies: Int, verdict: String) {
        let exchange = exchange(after: replies)
        exchange.says("hello?")
        #expect(exchange.verdicts == [verdict, "deferred 451"])
    }

    @Test("a reply without meaning ends the session", arguments: [(0, "354 go"), (1, "354 go"), (2, "250 ok")])
    func misplaced(replies: Int, line: String) {
        let exchange = exchange(after: replies)
        exchange.says(line)
        #expect(exchange.dialogue.isClosed)
        #expect(exchange.verdicts == ["deferred 451", "deferred 451"])
        #expect(exchange.settled[0].verdicts[0].reply.text.contains(line))
    }

    @Test("only a mail that was not the connection's first, and heard nothing, may try another connection")
    func untouched() {
        let first = exchange(after: 0)
        first.dialogue.connectionLost("gone")
        first.collect()
        #expect(first.settled.map(\.isUntouched) == [false, true])

        let reused = exchange(after: 3)
        reused.says("250 first is done")
        reused.dialogue.connectionLost("gone")
        reused.collect()
        #expect(reused.settled.map(\.isUntouched) == [false, true])

        let answered = exchange(after: 3)
        answered.says("250 first is done")
        answered.says("250 ok")
        answered.dialogue.connectionLost("gone")
        answered.collect()
        #expect(answered.settled.map(\.isUntouched) == [false, false])
    }

    @Test("a server that is silent for its whole patience is not asked again at once")
    func slowIsNotUntouched() {
        let exchange = exchange(after: 3)
        exchange.says("250 first is done")
        exchange.dialogue.timedOut()
        exchange.collect()
        #expect(exchange.settled.map(\.isUntouched) == [false, false])
    }
}
