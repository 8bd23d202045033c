// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import NIOCore
import Testing

@Suite("Patience by the clock")
struct PatienceTests {
    /// What the server says before it falls silent, by the reply that is then awaited.
    private static let silences: [(stage: SMTPStage, says: [String])] = [
        (.greeting, []),
        (.hello, ["220 mx"]),
        (.mail, ["220 mx", "250 mx"]),
        (.recipient, ["220 mx", "250 mx", "250 ok"]),
        (.data, ["220 mx", "250 mx", "250 ok", "250 ok"]),
        (.end, ["220 mx", "250 mx", "250 ok", "250 ok", "354 go"]),
        (.chunk, ["220 mx", "250-mx\r\n250 CHUNKING", "250 ok", "250 ok"]),
        (.end, ["220 mx", "250-mx\r\n250 CHUNKING", "250 ok", "250 ok", "250 a chunk"]),
        (.reset, ["220 mx", "250 mx", "250 ok", "550 no"]),
    ]

    @Test("RFC 5321 §4.5.3.2: a server is given up exactly when a step's time is over, not a second before")
    func silent() throws {
        for (stage, says) in Self.silences {
            let dock = try Dock(chunkBytesMax: 3)
            dock.send(message: "1234\r\n")
            dock.loop.run()
            for line in says { try dock.server(0, line) }
            dock.loop.advanceTime(by: .seconds(stage.patience - 1))
            #expect(dock.channels[0].isActive, "\(stage) after \(stage.patience - 1) s")
            dock.loop.advanceTime(by: .seconds(1))
            #expect(!dock.channels[0].isActive, "\(stage) after \(stage.patience) s")
        }
    }

    @Test("each reply gives the server its time anew: one that is slow and never silent is not given up")
    func slow() throws {
        let dock = try Dock(chunkBytesMax: 3)
        let job = dock.send(to: "a@example.com", "b@example.com", message: "1234\r\n")
        dock.loop.run()
        let session = ["220 mx", "250-mx\r\n250 CHUNKING", "250 ok", "250 ok", "550 no", "250 a chunk", "250 taken"]
        let patience: [SMTPStage] = [.greeting, .hello, .mail, .recipient, .recipient, .chunk, .end]
        for (line, stage) in zip(session, patience) {
            dock.loop.advanceTime(by: .seconds(stage.patience - 1))
            try dock.server(0, line)
        }
        #expect(dock.verdicts(job) == ["delivered 250", "rejected 550"])
    }

    @Test("the goodbye is awaited for ten seconds, and an idle connection kept for its time")
    func goodbye() throws {
        let dock = try Dock()
        dock.send()
        try dock.ready(0)
        try dock.server(0, "250 ok", "250 ok", "354 go")
        try dock.server(0, "250 done")
        dock.loop.advanceTime(by: .seconds(29))
        #expect(try dock.sent(0) == "" && dock.channels[0].isActive)
        dock.loop.advanceTime(by: .seconds(1))
        #expect(try dock.sent(0) == "QUIT\n" && dock.channels[0].isActive)
        dock.loop.advanceTime(by: .seconds(SMTPStage.quit.patience))
        #expect(!dock.channels[0].isActive)
    }

    @Test("a long message that the server does not take is given up block by block")
    func body() throws {
        #expect(SMTPStage.body.patience == 180)
        let exchange = Exchange.pipelined()
        exchange.submit("a@example.org", ["b@example.com"], ByteBuffer(repeating: 0x78, count: 300_000))
        exchange.takesBody = false
        for reply in ["250 ok", "250 ok", "354 go"] { exchange.says(reply) }
        #expect(exchange.dialogue.awaited == .body)
        exchange.dialogue.timedOut()
        #expect(exchange.verdicts == ["deferred 451"])
        #expect(
            exchange.settled[0].verdicts[0].reply.text
                == "gave up after 180 s of waiting for the server to take the message of mx.example:25")
    }
}
