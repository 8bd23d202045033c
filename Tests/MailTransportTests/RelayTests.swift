// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import NIOEmbedded
import Testing

@Suite("The pool of connections")
struct RelayTests {
    private func envelope(_ job: Int64) -> String {
        "MAIL FROM:<a@example.org>\nRCPT TO:<\(job)@example.com>\nDATA\n"
    }

    @Test("a mail opens a connection, and the next one uses it again")
    func reuse() throws {
        let dock = try Dock()
        let first = dock.send()
        #expect(try dock.ready(0) == envelope(first))
        #expect(try dock.server(0, "250 ok", "250 ok", "354 go") == "hi\n.\n")
        try dock.server(0, "250 done")
        #expect(dock.verdicts(first) == ["delivered 250"])
        #expect(dock.outcomes[first]?.first?.relay == "mx")
        #expect(dock.outcomes[first]?.first?.peer == "192.0.2.1:25")
        let second = dock.send()
        #expect(try dock.sent(0) == envelope(second))
        #expect(dock.tries == 1)
        #expect(dock.relay.report.connections == 1 && dock.relay.report.delivered == 1)
    }

    @Test("mails go to new connections up to connectionsMax, then behind others, then wait in line")
    func spreading() throws {
        let dock = try Dock(connectionsMax: 2)
        let jobs = (0..<5).map { _ in dock.send() }
        #expect(dock.tries == 2)
        #expect(try dock.ready(0) == envelope(jobs[0]))
        #expect(try dock.ready(1) == envelope(jobs[2]), "the second one is chained behind the first")
        #expect(try dock.server(0, "250 ok", "250 ok", "354 go") == "hi\n.\n" + envelope(jobs[1]))
        #expect(try dock.server(1, "250 ok", "250 ok", "354 go") == "hi\n.\n" + envelope(jobs[3]))
        try dock.server(0, "250 done", "250 ok", "250 ok")
        #expect(try dock.server(0, "354 go") == "hi\n.\n" + envelope(jobs[4]), "the last comes out of the line")
        #expect(dock.verdicts(jobs[0]) == ["delivered 250"])
    }

    @Test("body and next envelope leave in one write")
    func oneWrite() throws {
        let dock = try Dock(connectionsMax: 1)
        let jobs = [dock.send(), dock.send(), dock.send()]
        try dock.ready(0)
        try dock.channels[0].writeInbound(ByteBuffer(string: "250 ok\r\n250 ok\r\n354 go\r\n"))
        dock.loop.run()
        let write = try #require(try dock.channels[0].readOutbound(as: ByteBuffer.self))
        #expect(String(buffer: write).hasPrefix("hi\r\n.\r\nMAIL FROM"))
        #expect(String(buffer: write).contains("<\(jobs[1])@example.com>"))
        try dock.channels[0].writeInbound(ByteBuffer(string: "250 one\r\n250 ok\r\n250 ok\r\n354 go\r\n"))
        dock.loop.run()
        let second = try #require(try dock.channels[0].readOutbound(as: ByteBuffer.self))
        #expect(String(buffer: second).contains("<\(jobs[2])@example.com>"), "the third came in with the same read")
        #expect(try dock.channels[0].readOutbound(as: ByteBuffer.self) == nil)
    }

    @Test("without PIPELINING a connection takes one mail at a time, the rest waits in order")
    func plain() throws {
        let dock = try Dock(connectionsMax: 1)
        let jobs = [dock.send(), dock.send()]
        #expect(try dock.ready(0, pipelining: false) == "MAIL FROM:<a@example.org>\n")
        for job in jobs {
            #expect(try dock.server(0, "250 ok") == "RCPT TO:<\(job)@example.com>\n")
            try dock.server(0, "250 ok")
            try dock.server(0, "354 go")
            try dock.server(0, "250 ok")
            #expect(dock.verdicts(job) == ["delivered 250"])
        }
    }

    @Test("an idle connection says QUIT after idleSecondsMax, and not before")
    func idle() throws {
        let dock = try Dock()
        dock.send()
        try dock.ready(0)
        try dock.server(0, "250 ok", "250 ok", "354 go")
        try dock.server(0, "250 done")
        #expect(dock.relay.report.idle == 1)
        dock.loop.advanceTime(by: .seconds(29))
        #expect(try dock.sent(0) == "")
        dock.loop.advanceTime(by: .seconds(1))
        #expect(try dock.sent(0) == "QUIT\n")
        #expect(dock.relay.report.idle == 0)
        try dock.server(0, "221 bye")
        #expect(dock.relay.report.connections == 0)
        #expect(!dock.channels[0].isActive)
        #expect(dock.heard.words == ["connected", "disconnected"])
    }

    @Test("the idle time begins anew with each mail")
    func idleBeginsAnew() throws {
        let dock = try Dock()
        for _ in 0..<3 {
            dock.send()
            if dock.tries == 1 && dock.relay.report.delivered == 0 { try dock.ready(0) }
            try dock.server(0, "250 ok", "250 ok", "354 go")
            try dock.server(0, "250 done")
            dock.loop.advanceTime(by: .seconds(20))
        }
        #expect(dock.tries == 1)
        #expect(dock.relay.report.idle == 1)
    }

    @Test("a server that never answers QUIT is left after its patience")
    func quitUnanswered() throws {
        let dock = try Dock()
        dock.send()
        try dock.ready(0)
        try dock.server(0, "250 ok", "250 ok", "354 go")
        try dock.server(0, "250 done")
        dock.loop.advanceTime(by: .seconds(30))
        #expect(try dock.sent(0) == "QUIT\n")
        dock.loop.advanceTime(by: .seconds(SMTPStage.quit.patience))
        #expect(!dock.channels[0].isActive)
    }

    @Test("QUIT after messagesPerConnectionMax, and what waits gets a new connection")
    func messagesPerConnection() throws {
        let dock = try Dock(connectionsMax: 1, messagesPerConnectionMax: 1)
        let jobs = [dock.send(), dock.send()]
        try dock.ready(0)
        try dock.server(0, "250 ok", "250 ok", "354 go")
        #expect(try dock.server(0, "250 done") == "QUIT\n")
        #expect(dock.verdicts(jobs[0]) == ["delivered 250"])
        #expect(dock.tries == 1, "the old one counts until it is gone")
        try dock.server(0, "221 bye")
        #expect(dock.tries == 2)
        #expect(try dock.ready(1) == envelope(jobs[1]))
    }

    @Test(
        "a step that takes too long ends the connection",
        arguments: [(0, 300, "deferred 451"), (3, 600, "unknown 451")])
    func timeout(replies: Int, seconds: Int64, verdict: String) throws {
        let dock = try Dock()
        let job = dock.send()
        try dock.ready(0)
        for reply in ["250 ok", "250 ok", "354 go"].prefix(replies) { try dock.server(0, reply) }
        dock.loop.advanceTime(by: .seconds(seconds - 1))
        #expect(dock.verdicts(job) == [])
        dock.loop.advanceTime(by: .seconds(1))
        #expect(dock.verdicts(job) == [verdict])
        #expect(!dock.channels[0].isActive)
    }

    @Test("a silent greeting is given up after five minutes, and its mail deferred")
    func silentGreeting() throws {
        let dock = try Dock()
        let job = dock.send()
        dock.loop.advanceTime(by: .seconds(300))
        #expect(dock.verdicts(job) == ["deferred 451"])
        #expect(dock.heard.words.count == 1)
    }

    @Test("replies are heard by stage")
    func observer() throws {
        let dock = try Dock()
        dock.send()
        try dock.ready(0)
        try dock.server(0, "250 ok", "550 no", "354 go")
        try dock.server(0, "554 none")
        #expect(
            dock.heard.replies == ["greeting 220", "hello 250", "mail 250", "recipient 550", "data 354", "end 554"])
    }

    @Test("done never comes from within send, however quickly the verdict is known")
    func neverWithinSend() throws {
        let dock = try Dock()
        dock.connectError = Dock.Gone()
        for _ in 0..<3 {
            let job = dock.send()
            #expect(dock.outcomes[job] == nil)
            #expect(dock.verdicts(job) == ["deferred 451"])
        }
        let unsendable = try Dock()
        unsendable.send()
        try unsendable.ready(0)
        try unsendable.server(0, "250 ok", "250 ok", "354 go")
        try unsendable.server(0, "250 done")
        let job = unsendable.send(to: "bad address")
        #expect(unsendable.outcomes[job] == nil)
        #expect(unsendable.verdicts(job) == ["rejected 553"])
    }

    @Test("a caller that sends again from every answer is served")
    func sendsFromDone() throws {
        let dock = try Dock(connectionsMax: 1)
        var left = 50
        var verdicts: [String] = []
        func again() {
            guard left > 0 else { return }
            left -= 1
            let mail = Mail(
                job: JobID(raw: Int64(left)), sender: "a@example.org", recipients: ["b@example.com"],
                message: ByteBuffer(string: "hi\r\n"), needs8BitMIME: false)
            dock.relay.send(mail) { outcome in
                verdicts.append(outcome.verdicts[0].name)
                again()
            }
        }
        again()
        var sent = try dock.ready(0)
        while sent.contains("DATA\n") {
            sent = try dock.server(0, "250 ok", "250 ok", "354 go")
            sent += try dock.server(0, "250 done")
        }
        #expect(verdicts == Array(repeating: "delivered", count: 50))
        #expect(dock.tries == 1)
    }

    @Test("close finishes what runs and what waits, says QUIT everywhere, and tells when nothing is open")
    func close() throws {
        let dock = try Dock(connectionsMax: 1)
        let jobs = [dock.send(), dock.send()]
        try dock.ready(0)
        dock.close()
        try dock.server(0, "250 ok", "250 ok", "354 go")
        try dock.server(0, "250 done", "250 ok", "250 ok", "354 go")
        #expect(try dock.server(0, "250 done") == "QUIT\n")
        #expect(jobs.map(dock.verdicts) == [["delivered 250"], ["delivered 250"]])
        #expect(!dock.isClosed)
        try dock.server(0, "221 bye")
        dock.loop.run()
        #expect(dock.isClosed)
    }

    @Test("close with nothing open tells at once; a connection that is only being made is dropped")
    func closeEarly() throws {
        let unused = try Dock()
        unused.close()
        unused.loop.run()
        #expect(unused.isClosed)

        let dock = try Dock(connectionsMax: 2)
        dock.send()
        dock.holdsConnects = true
        dock.send()
        try dock.ready(0)
        try dock.server(0, "250 ok", "250 ok", "354 go")
        try dock.server(0, "250 done")
        try dock.server(0, "250 ok", "250 ok", "354 go")
        #expect(try dock.server(0, "250 done") == "")
        dock.close()
        #expect(try dock.sent(0) == "QUIT\n")
        try dock.server(0, "221 bye")
        dock.loop.run()
        #expect(dock.isClosed)
        dock.connectPending()
        #expect(dock.channels.count == 2)
        #expect(dock.channels.allSatisfy { !$0.isActive })
    }
}
