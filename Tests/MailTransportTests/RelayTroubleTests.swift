// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import NIOEmbedded
import Testing

@Suite("A pool in trouble")
struct RelayTroubleTests {
    @Test("a failed connect defers all that waits, with host, port and reason; then there is a growing pause")
    func connectFails() throws {
        let dock = try Dock()
        dock.connectError = IOError(errnoCode: 111, reason: "connect")
        let job = dock.send()
        #expect(dock.verdicts(job) == ["deferred 451"])
        let reply = try #require(dock.outcomes[job]?.first?.verdicts.first?.reply)
        #expect(reply == Reply(451, "4.4.1", "could not connect to mx.example:25: Connection refused"))
        #expect(dock.heard.words == ["unreachable: \(reply.text)"])
        #expect(dock.tries == 1)

        var pauses: [Int64] = []
        while pauses.count < 8 {
            let tries = dock.tries
            var seconds: Int64 = 0
            while dock.tries == tries {
                dock.loop.advanceTime(by: .seconds(1))
                seconds += 1
                let waiting = dock.send()
                #expect(dock.verdicts(waiting) == ["deferred 451"], "mail in the pause is deferred at once")
            }
            pauses.append(seconds)
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60])
    }

    @Test("after a good session the pause begins at one second again")
    func pauseEnds() throws {
        let dock = try Dock()
        dock.connectError = Dock.Gone()
        for seconds in [1, 2, 4] as [Int64] {
            dock.send()
            dock.loop.advanceTime(by: .seconds(seconds))
        }
        dock.connectError = nil
        let job = dock.send()
        try dock.ready(0)
        try dock.server(0, "250 ok", "250 ok", "354 go", "421 bye")
        #expect(dock.verdicts(job) == ["deferred 421"])
        dock.connectError = Dock.Gone()
        let tries = dock.tries
        dock.send()
        dock.loop.advanceTime(by: .seconds(1))
        dock.send()
        dock.loop.run()
        #expect(dock.tries == tries + 2)
    }

    @Test("while other connections live, waiting mail stays for them")
    func othersLive() throws {
        let dock = try Dock(connectionsMax: 2)
        let first = dock.send()
        try dock.ready(0, pipelining: false)
        dock.connectError = Dock.Gone()
        let second = dock.send()
        dock.loop.run()
        #expect(dock.tries == 2)
        #expect(dock.verdicts(second) == [])
        for reply in ["250 ok", "250 ok", "354 go", "250 ok"] { try dock.server(0, reply) }
        #expect(dock.verdicts(first) == ["delivered 250"])
        for reply in ["250 ok", "250 ok", "354 go", "250 ok"] { try dock.server(0, reply) }
        #expect(dock.verdicts(second) == ["delivered 250"])
    }

    @Test(
        "a refused session defers with the server's own words",
        arguments: ["554 5.7.1 on a list", "421 4.7.0 too many"])
    func sessionRefused(greeting: String) throws {
        let dock = try Dock()
        let jobs = [dock.send(), dock.send()]
        try dock.server(0, greeting)
        #expect(dock.verdicts(jobs[0]) == [], "the other connection may still come about")
        try dock.server(1, greeting)
        let reply = try #require(serverWords(greeting))
        for job in jobs {
            dock.loop.run()
            #expect(dock.outcomes[job]?.first?.verdicts == [.deferred(reply)])
        }
    }

    @Test("a connection that died while idle is forgotten quietly")
    func diesIdle() throws {
        let dock = try Dock()
        dock.send()
        try dock.ready(0)
        try dock.server(0, "250 ok", "250 ok", "354 go")
        try dock.server(0, "250 done")
        dock.dies(0)
        #expect(dock.relay.report.connections == 0)
        let job = dock.send()
        try dock.ready(1)
        try dock.server(1, "250 ok", "250 ok", "354 go")
        try dock.server(1, "250 done")
        #expect(dock.verdicts(job) == ["delivered 250"])
        #expect(dock.heard.words == ["connected", "disconnected", "connected"])
    }

    @Test(
        "a mail on a connection that dies on reuse is tried once more on a fresh one",
        arguments: [nil, "421 idle too long"])
    func diesOnReuse(farewell: String?) throws {
        let dock = try Dock()
        dock.send()
        try dock.ready(0)
        try dock.server(0, "250 ok", "250 ok", "354 go")
        try dock.server(0, "250 done")
        let job = dock.send()
        if let farewell { try dock.server(0, farewell) } else { dock.dies(0) }
        #expect(dock.verdicts(job) == [])
        #expect(dock.tries == 2)
        #expect(try dock.ready(1).contains("<\(job)@example.com>"))
        dock.dies(1)
        #expect(dock.verdicts(job) == ["deferred 451"], "only once")
        #expect(dock.tries == 2)
    }

    @Test("a mail on a reused connection that was answered is not tried again at once")
    func answeredOnReuse() throws {
        let dock = try Dock()
        dock.send()
        try dock.ready(0)
        try dock.server(0, "250 ok", "250 ok", "354 go")
        try dock.server(0, "250 done")
        let job = dock.send()
        try dock.server(0, "250 ok")
        dock.dies(0)
        #expect(dock.verdicts(job) == ["deferred 451"])
    }

    @Test("a chained mail whose connection dies gets a fresh one; the first is unknown")
    func chainedDies() throws {
        let dock = try Dock(connectionsMax: 1)
        let jobs = [dock.send(), dock.send()]
        try dock.ready(0)
        try dock.server(0, "250 ok", "250 ok", "354 go")
        dock.dies(0)
        #expect(dock.verdicts(jobs[0]) == ["unknown 451"])
        #expect(try dock.ready(1).contains("<\(jobs[1])@example.com>"))
        try dock.server(1, "250 ok", "250 ok", "354 go")
        try dock.server(1, "250 done")
        #expect(dock.verdicts(jobs[1]) == ["delivered 250"])
    }

    @Test("a retry that finds no connection is deferred")
    func retryFails() throws {
        let dock = try Dock()
        dock.send()
        try dock.ready(0)
        try dock.server(0, "250 ok", "250 ok", "354 go")
        try dock.server(0, "250 done")
        let job = dock.send()
        dock.connectError = Dock.Gone()
        dock.dies(0)
        #expect(dock.verdicts(job) == ["deferred 451"])
    }

    @Test("whatever the server does, every mail is answered exactly once", arguments: 0..<200)
    func chaos(seed: UInt64) throws {
        var dice = Dice(state: seed &* 7919 &+ 1)
        let dock = try Dock(connectionsMax: 3, messagesPerConnectionMax: 5)
        var jobs: [Int64] = []
        let replies = [
            "220 mx", "250 ok", "250-mx\r\n250 PIPELINING", "250 ok", "250 ok", "354 go", "250 ok", "550 no", "450 no",
            "421 bye", "junk",
        ]
        for _ in 0..<300 {
            switch dice.roll(20) {
            case 0...5: jobs.append(dock.send())
            case 6: dock.connectError = dock.connectError == nil ? Dock.Gone() : nil
            case 7: dock.loop.advanceTime(by: .seconds(Int64(dice.roll(200))))
            case 8: if !dock.channels.isEmpty { dock.dies(dice.roll(dock.channels.count)) }
            case 9: jobs.append(dock.send(to: "x@example.com", "bad address", "y@example.com"))
            default:
                let active = dock.channels.indices.filter { dock.channels[$0].isActive }
                if let number = active.isEmpty ? nil : active[dice.roll(active.count)] {
                    try dock.server(number, replies[dice.roll(dice.roll(4) == 0 ? replies.count : 7)])
                }
            }
        }
        dock.close()
        for _ in 0..<40 { dock.loop.advanceTime(by: .seconds(600)) }
        #expect(dock.isClosed)
        #expect(jobs.allSatisfy { dock.outcomes[$0]?.count == 1 })
        #expect(dock.relay.report.connections == 0)
        #expect(dock.channels.allSatisfy { !$0.isActive })
    }

    /// A small generator of its own, so that a seed that failed fails again.
    private struct Dice {
        var state: UInt64
        mutating func roll(_ sides: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(sides))
        }
    }

    private func serverWords(_ line: String) -> Reply? {
        var parser = ReplyParser()
        parser.feed(ByteBuffer(string: line + "\r\n"))
        return (try? parser.next())?.reply
    }
}
