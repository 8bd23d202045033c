// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import Testing

@Suite("Relays in disorder")
struct RoutedChaosTests {
    /// The same numbers at each run.
    struct Seeded: RandomNumberGenerator {
        private var state: UInt64
        init(_ seed: Int) { state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1 }
        mutating func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
    }

    @Test("every mail is answered once, with a verdict for each recipient from a relay of its route", arguments: 1...25)
    func chaos(seed: Int) throws {
        var random = Seeded(seed)
        let harbour = Harbour(
            ["a", "b", "c"], rates: seed % 3 == 0 ? ["b": 50] : [:],
            routes: [
                .init(recipients: DomainSet(["b.example"]), relays: [1, 2]),
                .init(senders: DomainSet(["c.example"]), relays: [2]),
            ], fallback: [0, 2], workers: 6)
        let allowed = ["a.example": ["a", "c"], "b.example": ["b", "c"]]
        var recipients: [Int64: [String]] = [:]
        for _ in 0..<600 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let names = (0..<Int.random(in: 1...4, using: &random)).map { number in
                    "\(number)@" + (Bool.random(using: &random) ? "a.example" : "b.example")
                }
                recipients[harbour.send(names)] = names
            case 5..<9:
                guard let relay = harbour.relays.filter({ !$0.held.isEmpty }).randomElement(using: &random) else {
                    break
                }
                let kind = Int.random(in: 0..<6, using: &random)
                relay.answer(Int.random(in: 0..<relay.held.count, using: &random)) { relay, mail in
                    switch kind {
                    case 0: relay.away(mail)
                    case 1: relay.throttled(mail)
                    case 2: relay.deferred(mail)
                    default: relay.delivered(mail)
                    }
                }
            default: harbour.run(seconds: Double.random(in: 0..<1.5, using: &random))
            }
        }
        for _ in 0..<100 {
            for relay in harbour.relays { while !relay.held.isEmpty { relay.answer() } }
            harbour.run(seconds: 1)
        }
        #expect(!recipients.isEmpty && harbour.outcomes.count == recipients.count)
        for (job, names) in recipients {
            let outcome = try #require(harbour.outcome(job))
            #expect(outcome.verdicts.count == names.count)
            let untried = Set(outcome.putOff?.recipients ?? [])
            #expect(outcome.putOff.map { $0.seconds > 0 } ?? true)
            for (index, verdict) in outcome.verdicts.enumerated() where !untried.contains(index) {
                let domain = String(names[index].split(separator: "@")[1])
                #expect(allowed[domain]?.contains(verdict.reply.text) == true)
            }
        }
        let counts = harbour.transport.reports.map(\.breaker)
        #expect(counts.count == 3)
    }
}
