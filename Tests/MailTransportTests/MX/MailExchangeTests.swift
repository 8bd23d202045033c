// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailTransport
import Testing

@Suite("The order of a domain's hosts")
struct ExchangeTests {
    private func exchange(_ hosts: [(String, Int)]) -> MailExchange {
        MailExchange(hosts.map { Exchanger($0.0, preference: $0.1, addresses: []) })
    }

    private func order(_ exchange: MailExchange, away: Set<String> = []) -> [String] {
        var generator = SystemRandomNumberGenerator()
        return exchange.order(isAway: away.contains, using: &generator).map(\.host)
    }

    @Test("lower preferences come first, those that were not reached lately last")
    func preference() {
        let three = exchange([("a", 10), ("b", 20), ("c", 30)])
        #expect(order(three) == ["a", "b", "c"])
        #expect(order(three, away: ["a"]) == ["b", "c", "a"])
        #expect(order(three, away: ["a", "b", "c"]) == ["a", "b", "c"])
    }

    @Test("equal preferences come in any order, and only among themselves")
    func equal() {
        let hosts = exchange([("a", 10), ("b", 10), ("c", 10), ("d", 20)])
        var seen: Set<[String]> = []
        for _ in 0..<500 { seen.insert(order(hosts)) }
        #expect(seen.count == 6)
        #expect(seen.allSatisfy { $0.last == "d" })
    }

    @Test("no more than five are tried")
    func bounded() {
        #expect(order(exchange((0..<20).map { ("h\($0)", $0) })) == ["h0", "h1", "h2", "h3", "h4"])
    }

    @Test("open sessions are used of the lowest preference that is not away")
    func nearest() {
        let hosts = exchange([("a", 10), ("b", 10), ("c", 20)])
        #expect(hosts.nearest { _ in false }.map(\.host) == ["a", "b"])
        #expect(hosts.nearest { $0 == "a" }.map(\.host) == ["b"])
        #expect(hosts.nearest { $0 != "c" }.map(\.host) == ["c"])
        #expect(hosts.nearest { _ in true }.isEmpty)
    }
}
