// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import Testing

@Suite("Mail by MX in a storm")
struct MXChaosTests {
    @Test("every mail is answered once, whatever hosts and name servers do", arguments: 0..<20)
    func chaos(seed: UInt64) {
        var generator = SplitMix(state: seed)
        let coast = Coast(workers: Int.random(in: 1...16, using: &generator))
        let hosts = ["a.host", "b.host", "c.host"]
        for domain in ["d.example", "e.example", "f.example"] {
            coast.exchanges[domain] = hosts.shuffled(using: &generator).dropLast(
                Int.random(in: 0...2, using: &generator))
        }
        var jobs: [Int64] = []
        for _ in 0..<400 { step(coast, hosts, &jobs, &generator) }
        coast.hasNameServer = true
        coast.doors = [:]
        coast.replies = [:]
        coast.holding = []
        for _ in 0..<5 {
            for host in hosts { coast.release(host, opening: true) }
            coast.answerHeld()
            coast.run(seconds: 20)
        }
        for job in jobs { #expect(coast.outcomes[job]?.count == 1) }
        coast.run(seconds: 300)
        #expect(coast.verdicts(coast.send("x@d.example")) == ["delivered 250"])
        var isClosed = false
        coast.transport.close { isClosed = true }
        coast.run(seconds: 1)
        #expect(isClosed)
    }

    private func step(_ coast: Coast, _ hosts: [String], _ jobs: inout [Int64], _ generator: inout SplitMix) {
        let host = hosts[Int.random(in: 0..<3, using: &generator)]
        switch Int.random(in: 0..<20, using: &generator) {
        case 0: coast.doors[host] = [.open, .refused, .silent].randomElement(using: &generator)
        case 1: coast.release(host, opening: Bool.random(using: &generator))
        case 2: coast.hangUp(host)
        case 3: coast.hasNameServer = Int.random(in: 0..<4, using: &generator) > 0
        case 4:
            coast.replies[host] = ["250 ok", "421 4.3.2 no", "451 4.7.1 slow", "550 no"].randomElement(
                using: &generator)
        case 5: coast.holding.formSymmetricDifference([host])
        case 6: coast.answerHeld()
        case 7...10: coast.run(seconds: Double.random(in: 0...3, using: &generator))
        default:
            let domains = ["d.example", "e.example", "f.example", "none.example"]
            let first = domains[Int.random(in: 0..<4, using: &generator)]
            let second = domains[Int.random(in: 0..<4, using: &generator)]
            jobs.append(
                Bool.random(using: &generator)
                    ? coast.send("x@\(first)") : coast.send("x@\(first)", "y@\(second)", "z@\(first)"))
        }
    }
}

/// Vigna's SplitMix64: the same storm for the same seed.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
