// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailJob
import MailTransport
import Testing

@Suite("Mail by MX")
struct MXTransportTests {
    @Test("goes to the first host, and to the next while that one is away")
    func failOver() {
        let coast = Coast()
        coast.exchanges = ["d.example": ["a.host", "b.host"]]
        #expect(coast.verdicts(coast.send("x@d.example")) == ["delivered 250"])
        #expect(coast.taken(by: "a.host") == 1)
        coast.doors["a.host"] = .refused
        coast.hangUp("a.host")
        #expect(coast.verdicts(coast.send("x@d.example")) == ["delivered 250"])
        #expect(coast.taken(by: "b.host") == 1)
        // RFC 5321 §4.5.4.1: the first is known to be away and is not asked with each mail.
        coast.hangUp("b.host")
        let before = coast.tries["a.host"]
        #expect(coast.verdicts(coast.send("x@d.example")) == ["delivered 250"])
        #expect(coast.tries["a.host"] == before)
    }

    @Test("DNS is not asked again for each mail, nor a connection opened")
    func reuse() {
        let coast = Coast()
        coast.exchanges = ["d.example": ["a.host"], "e.example": ["a.host"]]
        for _ in 0..<10 { coast.send("x@d.example") }
        let lookups = coast.lookups
        coast.send("x@e.example")
        #expect(coast.tries["a.host"] == 1 && coast.taken(by: "a.host") == 11)
        coast.run(seconds: 31)
        #expect(!coast.servers[0].channel.isActive, "an idle connection says goodbye")
        coast.send("x@d.example")
        #expect(coast.lookups == lookups + 3 && coast.tries["a.host"] == 2)
        coast.run(seconds: 30)
        coast.send("x@d.example")
        #expect(coast.lookups == lookups + 6, "the records' time is over")
    }

    @Test("a domain that is out of reach costs an attempt each time, and is asked again by one mail at a time")
    func unreachable() {
        let coast = Coast()
        coast.exchanges = ["d.example": ["a.host", "b.host"]]
        coast.doors = ["a.host": .refused, "b.host": .refused]
        let first = coast.send("x@d.example", "y@d.example")
        #expect(coast.verdicts(first) == ["deferred 451", "deferred 451"])
        let text = coast.outcome(first)?.verdicts[0].reply.text ?? ""
        let refused = ["a.host", "b.host"].map { "could not connect to \($0):25: Connection refused" }
        #expect(text == refused.joined(separator: "; "))
        #expect(coast.report.awayDestinations.map(\.domain) == ["d.example"])
        let tries = coast.tries
        #expect(coast.verdicts(coast.send("x@d.example")) == ["deferred 451"])
        #expect(coast.tries == tries, "it is known to be away")
        coast.run(seconds: 1.5)
        coast.doors = ["a.host": .silent, "b.host": .silent]
        let probe = coast.send("x@d.example")
        #expect(coast.verdicts(probe) == [] && coast.verdicts(coast.send("x@d.example")) == ["deferred 451"])
        coast.release("a.host", opening: true)
        #expect(coast.verdicts(probe) == ["delivered 250"])
        #expect(coast.verdicts(coast.send("x@d.example")) == ["delivered 250"])
        #expect(coast.report.awayDestinations.isEmpty && coast.report.delivered == 2 && coast.report.deferred == 4)
    }

    @Test("nothing is tried while no name server answers, and that is no domain's fault")
    func cutOff() {
        let coast = Coast()
        coast.exchanges = ["d.example": ["a.host"], "e.example": ["a.host"]]
        coast.hasNameServer = false
        let single = coast.send("x@d.example")
        #expect(coast.verdicts(single) == ["waits"])
        #expect(coast.outcome(single)?.putOff?.isOutage == true)
        #expect(coast.outcome(single)?.putOff?.cause.text == "no name server answers (192.0.2.53)")
        let both = coast.send("x@d.example", "x@e.example")
        #expect(coast.outcome(both)?.putOff?.isOutage == true)
        coast.hasNameServer = true
        coast.failures["d.example"] = .failed("SERVFAIL")
        #expect(coast.verdicts(coast.send("x@d.example", "x@e.example")) == ["deferred 451", "delivered 250"])
        #expect(coast.report.awayDestinations.map(\.domain) == ["d.example"])
    }

    @Test("each domain of a mail has its own fate")
    func apart() {
        let coast = Coast()
        coast.exchanges = ["d.example": ["a.host"], "e.example": ["b.host"], "f.example": ["c.host"]]
        coast.replies = ["b.host": "550 5.1.1 gone"]
        coast.doors = ["c.host": .refused]
        let job = coast.send("1@d.example", "2@e.example", "3@f.example", "4@D.example", "5@none.example")
        #expect(
            coast.verdicts(job) == ["delivered 250", "rejected 550", "deferred 451", "delivered 250", "rejected 550"])
        #expect(coast.outcome(job)?.verdicts[4].reply.enhanced == "5.1.2")
        #expect(coast.outcome(job)?.relay == "direct" && coast.outcome(job)?.peer == "192.0.2.1:25")
        #expect(coast.taken(by: "a.host") == 1, "recipients of a domain go together")
    }

    @Test("no domain has more mails under way than it may, and those beyond come again")
    func limits() {
        let coast = Coast(workers: 64, perDomain: 3)
        coast.exchanges = ["d.example": ["a.host"], "e.example": ["b.host"]]
        coast.holding = ["a.host"]
        let jobs = (0..<20).map { _ in coast.send("x@d.example") }
        #expect(coast.held.count == 3 && coast.tries["a.host"] == 3)
        let waiting = jobs.compactMap { coast.outcome($0)?.putOff }
        #expect(waiting.count == 16 && waiting.allSatisfy { !$0.isOutage })
        let seconds = waiting.map(\.seconds)
        #expect(seconds.sorted() == seconds && (seconds.last ?? 0) < 2, "one after the other, and soon")
        #expect(coast.verdicts(coast.send("x@e.example")) == ["delivered 250"])
        coast.answerHeld()
        #expect(coast.held.count == 1, "the one in line went at once")
    }

    @Test("a server that takes no more connections keeps those it has, and its domain is not away")
    func crowded() {
        let coast = Coast(workers: 32)
        coast.exchanges = ["d.example": ["a.host"]]
        coast.holding = ["a.host"]
        let first = [coast.send("x@d.example"), coast.send("x@d.example")]
        coast.doors = ["a.host": .refused]
        let others = [coast.send("x@d.example"), coast.send("x@d.example")]
        #expect(coast.report.awayDestinations.isEmpty)
        coast.holding = []
        coast.answerHeld()
        // Shorter than an unused connection is kept: the server would let none in again.
        coast.run(seconds: 10)
        for job in first { #expect(coast.verdicts(job) == ["delivered 250"]) }
        for job in others { #expect([["delivered 250"], ["waits"]].contains(coast.verdicts(job))) }
        #expect(coast.verdicts(coast.send("x@d.example")) == ["delivered 250"])
    }

    @Test("a probe whose mail makes room leaves the domain to the next probe")
    func lostProbe() {
        let coast = Coast(workers: 1)
        coast.exchanges = ["d.example": ["a.host"]]
        coast.doors = ["a.host": .refused]
        #expect(coast.verdicts(coast.send("x@d.example")) == ["deferred 451"])
        coast.run(seconds: 1.5)
        coast.doors = ["a.host": .silent]
        let probe = coast.send("x@d.example")
        coast.run(seconds: 3)
        #expect(coast.verdicts(probe) == ["waits"])
        coast.doors = [:]
        coast.release("a.host", opening: false)
        coast.run(seconds: 10)
        #expect(coast.verdicts(coast.send("x@d.example")) == ["delivered 250"])
    }

    @Test("one domain never takes all workers", arguments: [1, 2, 4, 8])
    func share(workers: Int) {
        let coast = Coast(workers: workers, perDomain: 100)
        coast.exchanges = ["d.example": ["a.host"]]
        coast.holding = ["a.host"]
        for _ in 0..<20 { coast.send("x@d.example") }
        #expect(coast.held.count == max(1, workers / 2))
    }

    @Test("who waits long for a session makes room where workers are few, and finds the session when it comes again")
    func makesRoom() {
        let coast = Coast(workers: 2)
        coast.exchanges = ["d.example": ["a.host"], "e.example": ["b.host"]]
        coast.doors = ["a.host": .silent]
        let first = coast.send("x@d.example")
        coast.run(seconds: 2)
        #expect(coast.verdicts(first) == [], "a worker is free")
        coast.holding = ["b.host"]
        let other = coast.send("x@e.example")
        coast.run(seconds: 1)
        #expect(coast.verdicts(first) == ["waits"] && coast.verdicts(other) == [])
        #expect(coast.outcome(first)?.putOff?.isOutage == false)
        #expect(coast.verdicts(coast.send("x@d.example")) == ["waits"], "nor does it hold another worker")
        coast.release("a.host", opening: true)
        coast.run(seconds: 10)
        #expect(coast.tries["a.host"] == 1)
        #expect(coast.verdicts(coast.send("x@d.example")) == ["delivered 250"])
        #expect(coast.tries["a.host"] == 1)
        #expect(coast.report.awayDestinations.isEmpty)
    }

    @Test("a search that nobody waits for any more tells that the domain is away all the same")
    func unattended() {
        let coast = Coast(workers: 1)
        coast.exchanges = ["d.example": ["a.host"]]
        coast.doors = ["a.host": .silent]
        let first = coast.send("x@d.example")
        coast.run(seconds: 2)
        #expect(coast.verdicts(first) == ["waits"])
        coast.release("a.host", opening: false)
        #expect(coast.verdicts(coast.send("x@d.example")) == ["deferred 451"])
        #expect(coast.report.awayDestinations.map(\.domain) == ["d.example"])
    }

    @Test("a domain that throttles is spared, and no other")
    func throttled() {
        let coast = Coast(workers: 32)
        coast.exchanges = ["d.example": ["a.host"], "e.example": ["b.host"]]
        coast.replies = ["a.host": "451 4.7.1 slow down"]
        for _ in 0..<4 { coast.send("x@d.example") }
        let tries = coast.tries["a.host"]
        let spared = coast.send("x@d.example")
        #expect(coast.verdicts(spared) == [] || coast.verdicts(spared) == ["waits"])
        #expect(coast.tries["a.host"] == tries)
        for _ in 0..<10 { #expect(coast.verdicts(coast.send("x@e.example")) == ["delivered 250"]) }
    }

    @Test("closing puts off who waits, finishes what is under way, and is done then")
    func closes() {
        let coast = Coast()
        coast.exchanges = ["d.example": ["a.host"], "e.example": ["b.host"], "f.example": ["c.host"]]
        coast.holding = ["a.host"]
        coast.doors["b.host"] = .silent
        let held = coast.send("x@d.example")
        let seeking = coast.send("x@e.example")
        coast.send("x@f.example")
        var isClosed = false
        coast.transport.close { isClosed = true }
        coast.run()
        #expect(!isClosed && coast.verdicts(seeking) == ["waits"] && coast.verdicts(held) == [])
        #expect(coast.verdicts(coast.send("x@d.example")) == ["waits"])
        coast.answerHeld()
        #expect(coast.verdicts(held) == ["delivered 250"])
        coast.release("b.host", opening: true)
        coast.run(seconds: 1)
        #expect(isClosed)
    }

    @Test("what is remembered is bounded")
    func bounded() {
        let coast = Coast()
        for number in 0..<10_000 { coast.send("x@none\(number).example") }
        #expect((coast.report.destinations ?? 0) <= Limits.mxDestinationsMax)
        #expect(coast.outcomes.count == 10_000)
    }
}
