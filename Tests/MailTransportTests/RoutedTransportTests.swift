// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import Testing

@Suite("Mail over several relays")
struct RoutedTransportTests {
    private static let toB = RouteTable.Route(recipients: DomainSet(["b.example"]), relays: [1])

    @Test("a mail is parted by its routes, and its verdicts come together in the recipients' order")
    func parts() throws {
        let harbour = Harbour(["a", "b"], routes: [Self.toB])
        let job = harbour.send("1@b.example", "2@a.example", "3@b.example", "4@a.example")
        #expect(harbour.relays[0].given.map(\.mail.recipients) == [["2@a.example", "4@a.example"]])
        #expect(harbour.relays[1].given.map(\.mail.recipients) == [["1@b.example", "3@b.example"]])
        harbour.relays[0].answer { $0.deferred($1) }
        #expect(harbour.outcome(job) == nil)
        harbour.relays[1].answer()
        let outcome = try #require(harbour.outcome(job))
        #expect(outcome.verdicts.map(\.reply.text) == ["b", "a", "b", "a"])
        #expect(outcome.verdicts.map(\.name) == ["delivered", "deferred", "delivered", "deferred"])
        #expect(outcome.relay == "a, b" && outcome.peer == "a:25, b:25" && outcome.putOff == nil)
    }

    @Test("a share of a mail is the same mail to fewer recipients: what it needs of the server goes with it")
    func partsKeepTheirNeeds() throws {
        let harbour = Harbour(["a", "b"], routes: [Self.toB])
        let mail = Mail(
            job: JobID(raw: 1), sender: "me@example.org", recipients: ["1@b.example", "2@a.example"],
            message: ByteBuffer(string: "hi\r\n"), needs8BitMIME: true, needsSMTPUTF8: true)
        harbour.transport.send(mail) { _ in }
        for relay in harbour.relays {
            let part = try #require(relay.given.first?.mail)
            #expect(part.needsSMTPUTF8 && part.needs8BitMIME)
            #expect(part.job == mail.job && part.sender == mail.sender && part.message == mail.message)
            relay.answer()
        }
    }

    @Test("the versions of TLS come together too, each named once", arguments: [true, false])
    func tlsOfShares(isSame: Bool) throws {
        let harbour = Harbour(["a", "b"], routes: [Self.toB])
        let job = harbour.send("1@b.example", "2@a.example")
        for (relay, version) in zip(harbour.relays, ["TLSv1.3", isSame ? "TLSv1.3" : "TLSv1.2"]) {
            relay.answer { relay, mail in
                var outcome = relay.delivered(mail)
                outcome.tls = version
                return outcome
            }
        }
        #expect(try #require(harbour.outcome(job)).tls == (isSame ? "TLSv1.3" : "TLSv1.3, TLSv1.2"))
    }

    @Test("a share that went in clear is not hidden behind one that was encrypted")
    func clearShare() throws {
        let harbour = Harbour(["a", "b"], routes: [Self.toB])
        let job = harbour.send("1@b.example", "2@a.example")
        harbour.relays[0].answer()
        harbour.relays[1].answer { relay, mail in
            var outcome = relay.delivered(mail)
            outcome.tls = "TLSv1.3"
            return outcome
        }
        #expect(try #require(harbour.outcome(job)).tls == "none, TLSv1.3")
    }

    @Test("a relay that is away opens its breaker, and the same mail goes to the next one at once")
    func failOver() throws {
        let harbour = Harbour(["a", "b"], fallback: [0, 1])
        let first = harbour.send()
        harbour.relays[0].answer { $0.away($1) }
        harbour.relays[1].answer()
        #expect(harbour.outcome(first)?.relay == "b")
        #expect(harbour.heard[0].words == ["open 1 451 4.4.1 a refused"])
        harbour.send()
        #expect(harbour.relays[0].given.count == 1 && harbour.relays[1].given.count == 2)
        #expect(harbour.report(0).breaker == "open" && harbour.report(1).breaker == "closed")
        harbour.run(seconds: 1)
        let probe = harbour.send()
        #expect(harbour.relays[0].given.count == 2 && harbour.relays[0].rousings == 1)
        harbour.relays[0].answer()
        #expect(harbour.outcome(probe)?.relay == "a")
        #expect(harbour.heard[0].words.suffix(2) == ["probe", "closed"])
    }

    @Test("with no relay left a mail is put off until the next probe, with the cause, and nothing was tried")
    func putOff() throws {
        let harbour = Harbour(["a", "b"], fallback: [0, 1])
        let job = harbour.send("x@example.com", "y@example.com")
        harbour.relays[0].answer { $0.away($1) }
        harbour.relays[1].answer { $0.away($1) }
        let putOff = try #require(harbour.outcome(job)?.putOff)
        #expect(putOff.recipients == [0, 1])
        #expect(putOff.relay == "a" && putOff.cause.text == "a refused")
        #expect(putOff.seconds >= 1 && putOff.seconds < 1.1)
        let report = harbour.report(0)
        #expect(report.breaker == "open" && report.waiting == 1)
        #expect(report.cause == "451 4.4.1 a refused" && report.nextProbeSeconds == 1)
    }

    @Test("who was delivered stays delivered where the other relay is away")
    func partly() throws {
        let harbour = Harbour(["a", "b"], routes: [Self.toB])
        let job = harbour.send("1@b.example", "2@a.example")
        harbour.relays[0].answer()
        harbour.relays[1].answer { $0.away($1) }
        let outcome = try #require(harbour.outcome(job))
        #expect(outcome.verdicts.map(\.name) == ["deferred", "delivered"])
        #expect(outcome.putOff?.recipients == [0])
    }

    @Test("while a relay is away one probe is out at a time, and the waits grow")
    func probes() {
        let harbour = Harbour()
        harbour.relays[0].automatic = { [relay = harbour.relays[0]] in relay.away($0) }
        for _ in 0..<6000 {
            harbour.send()
            harbour.run(seconds: 0.01)
        }
        #expect(harbour.relays[0].given.count == 6)
        #expect(harbour.outcomes.values.allSatisfy { $0.count == 1 && $0[0].putOff != nil })
        let times = harbour.relays[0].given.map { ($0.seconds * 10).rounded() / 10 }
        #expect(zip(times.dropFirst(), times).map { ($0 - $1).rounded() } == [1, 2, 4, 8, 16])
    }

    @Test("those put off come again one after the other, never more than 500 in a second")
    func spread() {
        let harbour = Harbour()
        harbour.relays[0].automatic = { [relay = harbour.relays[0]] in relay.away($0) }
        let jobs = (0..<2000).map { _ in harbour.send() }
        harbour.run()
        let returns = jobs.compactMap { harbour.outcome($0)?.putOff?.seconds }.sorted()
        #expect(returns.count == 2000)
        #expect((returns.first ?? 0) >= 1 && (returns.last ?? 0) > 4.9)
        for start in stride(from: 0, to: 1500, by: 100) { #expect(returns[start + 500] - returns[start] > 0.99) }
        #expect(harbour.report().waiting == 2000)
        harbour.run(seconds: 7)
        #expect(harbour.report().waiting == 0)
    }

    @Test("a relay that swallows mail leaves a worker for each of the others")
    func silent() {
        let harbour = Harbour(["a", "b", "c"], routes: [Self.toB], workers: 8)
        let stuck = (0..<40).map { _ in harbour.send("x@a.example") }
        #expect(harbour.relays[0].held.count == 6)
        harbour.run(seconds: 1.1)
        let answered = stuck.filter { harbour.outcome($0) != nil }
        #expect(answered.count == 34, "whoever waited in line is put off")
        #expect(answered.allSatisfy { harbour.outcome($0)?.putOff != nil })
        let late = harbour.send("x@a.example")
        #expect(harbour.outcome(late)?.putOff != nil)
        let other = harbour.send("x@b.example")
        harbour.relays[1].answer()
        #expect(harbour.outcome(other)?.verdicts.first?.name == "delivered")
        #expect(harbour.report(0).breaker == "closed")
    }

    @Test("a rate is kept, however many workers send", arguments: [1, 4])
    func rate(relays: Int) {
        let names = (0..<relays).map { "r\($0)" }
        let harbour = Harbour(names, rates: ["r0": 20], workers: 64)
        harbour.relays[0].automatic = { [relay = harbour.relays[0]] in relay.delivered($0) }
        var waiting: [Double] = []
        for _ in 0..<200 {
            // Those put off come again when they were told.
            waiting = waiting.filter { $0 > 0 }.map { $0 - 0.05 }
            let jobs = (0..<3).map { _ in harbour.send() }
            harbour.run(seconds: 0.05)
            for job in jobs { if let putOff = harbour.outcome(job)?.putOff { waiting.append(putOff.seconds) } }
        }
        let given = harbour.relays[0].given.map(\.seconds)
        #expect(given.count >= 195 && given.count <= 203)
        for start in given.indices.dropLast(42) { #expect(given[start + 42] - given[start] > 1.9) }
    }

    @Test("a relay that asks to be spared is, and gets its mail again by and by")
    func throttled() {
        let harbour = Harbour(workers: 16)
        for _ in 0..<16 { harbour.send() }
        #expect(harbour.relays[0].held.count == 16)
        for _ in 0..<16 { harbour.relays[0].answer { $0.throttled($1) } }
        #expect(harbour.report().concurrencyMax == 8)
        for _ in 0..<16 { harbour.send() }
        #expect(harbour.relays[0].held.count == 8 && harbour.report().waiting == 8)
        for _ in 0..<16 { harbour.relays[0].answer() }
        harbour.run(seconds: 81)
        #expect(harbour.report().concurrencyMax == nil)
    }

    @Test("closing puts off who waits, lets relays finish, and is done once all are")
    func closes() {
        let harbour = Harbour(rates: ["a": 1])
        let first = harbour.send()
        let second = harbour.send()
        var isDone = false
        harbour.transport.close { isDone = true }
        #expect(harbour.relays[0].isClosed && isDone)
        #expect(harbour.outcome(second)?.putOff != nil)
        harbour.relays[0].answer { $0.away($1) }
        #expect(harbour.outcome(first)?.putOff != nil)
    }
}
