// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailJob
import MailTransport
import Testing

@Suite("Where a domain's mail goes (RFC 5321 §5.1, RFC 7505)")
struct ExchangeSearchTests {
    /// Answers by question, as text: `10 mx1.example` for MX, addresses for the others.
    typealias Zone = [String: [String]]

    static func wire(_ question: DNSQuestion, _ text: String) -> [UInt8] {
        guard question.type == .mx else { return IPAddress(text)?.bytes ?? [] }
        let words = text.split(separator: " ")
        let preference = Int(words[0]) ?? 0
        var bytes = [UInt8(preference >> 8), UInt8(preference & 0xFF)]
        for label in words[1].split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        return bytes + [0]
    }

    static func answer(_ question: DNSQuestion, _ zone: Zone, isSecure: Bool = false) -> DNSAnswer {
        let key = "\(question.name) \("\(question.type)".uppercased())"
        guard let texts = zone[key] else {
            let exists = zone.keys.contains { $0.hasPrefix("\(question.name) ") }
            return DNSAnswer(exists ? .noData : .noName, isSecure: isSecure, seconds: 60)
        }
        switch texts.first {
        case "SERVFAIL": return DNSAnswer(.failed("SERVFAIL"))
        case "BOGUS": return DNSAnswer(.bogus("signature expired"))
        default:
            return DNSAnswer(.data, records: texts.map { wire(question, $0) }, isSecure: isSecure, seconds: 3600)
        }
    }

    static func result(
        _ domain: String, _ zone: Zone, hostname: String = "us.example", allowsPrivate: Bool = false
    ) -> ExchangeSearch.Step {
        var search = ExchangeSearch(domain: domain, hostname: hostname, allowsPrivate: allowsPrivate)
        var step = search.begin()
        while case .ask(let questions) = step {
            for question in questions.shuffled() { step = search.answered(question, answer(question, zone)) }
        }
        return step
    }

    static func hosts(_ step: ExchangeSearch.Step) -> [String]? {
        guard case .found(let exchange) = step else { return nil }
        return exchange.exchangers.map { "\($0.preference) \($0.host) \($0.addresses.map(\.description).sorted())" }
    }

    static let found: [(String, Zone, [String])] = [
        (
            "by rising preference",
            [
                "d.example MX": ["20 b.example", "10 a.example", "300 c.example"], "a.example A": ["5.6.7.1"],
                "b.example A": ["5.6.7.2"], "c.example AAAA": ["2a00:1::3"],
            ],
            ["10 a.example [\"5.6.7.1\"]", "20 b.example [\"5.6.7.2\"]", "300 c.example [\"2a00:1::3\"]"]
        ),
        (
            "with all of a host's addresses",
            [
                "d.example MX": ["10 a.example"], "a.example A": ["5.6.7.1", "5.6.7.2"],
                "a.example AAAA": ["2a00:1::1"],
            ], ["10 a.example [\"2a00:1::1\", \"5.6.7.1\", \"5.6.7.2\"]"]
        ),
        (
            "to the domain's own address where there is no MX",
            ["d.example A": ["5.6.7.9"]], ["0 d.example [\"5.6.7.9\"]"]
        ),
        (
            "past hosts without an address, or that do not exist",
            [
                "d.example MX": ["5 nowhere.example", "10 a.example"], "a.example A": ["5.6.7.1"],
            ], ["10 a.example [\"5.6.7.1\"]"]
        ),
        (
            "past hosts whose address is not known now",
            [
                "d.example MX": ["5 slow.example", "10 a.example"], "slow.example A": ["SERVFAIL"],
                "slow.example AAAA": ["SERVFAIL"], "a.example A": ["5.6.7.1"],
            ], ["10 a.example [\"5.6.7.1\"]"]
        ),
        (
            "past a null MX that is not alone",
            ["d.example MX": ["0 .", "10 a.example"], "a.example A": ["5.6.7.1"]],
            ["10 a.example [\"5.6.7.1\"]"]
        ),
        (
            "only to those preferred to us, where we are in the list",
            [
                "d.example MX": ["10 a.example", "20 US.example", "20 b.example", "30 c.example"],
                "a.example A": ["5.6.7.1"], "b.example A": ["5.6.7.2"], "c.example A": ["5.6.7.3"],
            ], ["10 a.example [\"5.6.7.1\"]"]
        ),
        (
            "once to a host that is named twice, at its best preference",
            ["d.example MX": ["20 a.example", "10 a.example"], "a.example A": ["5.6.7.1"]],
            ["10 a.example [\"5.6.7.1\"]"]
        ),
        (
            "past private addresses",
            [
                "d.example MX": ["10 in.example", "20 a.example"], "in.example A": ["10.1.2.3", "127.0.0.1"],
                "a.example A": ["192.168.0.1", "5.6.7.1"],
            ], ["20 a.example [\"5.6.7.1\"]"]
        ),
    ]

    @Test("mail goes", arguments: found)
    func goes(what: String, zone: Zone, hosts: [String]) {
        #expect(Self.hosts(Self.result("d.example", zone)) == hosts, "\(what)")
    }

    static let refused: [(String, Zone, Int, String, String)] = [
        ("a domain that does not exist", [:], 550, "5.1.2", "the domain d.example does not exist"),
        (
            "a null MX", ["d.example MX": ["0 ."], "d.example A": ["5.6.7.1"]], 556, "5.1.10",
            "the domain d.example takes no mail (null MX)"
        ),
        (
            "a domain with neither MX nor address", ["d.example TXT": []], 550, "5.4.4",
            "the domain d.example has neither MX nor address"
        ),
        (
            "MX records without any address, though the domain has one",
            ["d.example MX": ["10 a.example"], "d.example A": ["5.6.7.1"]], 550, "5.4.4",
            "no MX of d.example has an address"
        ),
        (
            "MX records that name only the root", ["d.example MX": ["0 .", "10 ."]], 550, "5.4.4",
            "the MX records of d.example name no usable host"
        ),
        (
            "a list that we are the first in", ["d.example MX": ["10 us.example", "20 a.example"]], 550, "5.4.6",
            "the mail of d.example is for this host itself (us.example), which takes none: give it a route"
        ),
        (
            "loopback", ["d.example MX": ["10 a.example"], "a.example A": ["127.0.0.1"]], 550, "5.4.4",
            "d.example takes its mail at a.example (127.0.0.1), which is a loopback address"
        ),
        (
            "a domain of its own at 0.0.0.0", ["d.example A": ["0.0.0.0"]], 550, "5.4.4",
            "d.example takes its mail at d.example (0.0.0.0), which is an address of this network"
        ),
    ]

    @Test("no mail is ever sent to", arguments: refused)
    func rejected(what: String, zone: Zone, code: Int, enhanced: String, text: String) {
        #expect(Self.result("d.example", zone) == .rejected(Reply(code, enhanced, text)), "\(what)")
    }

    @Test("what is our own name without MX is for this host itself")
    func ownName() {
        let step = Self.result("d.example", ["d.example A": ["5.6.7.1"]], hostname: "D.example")
        guard case .rejected(let reply) = step else { return #expect(Bool(false), "\(step)") }
        #expect(reply.enhanced == "5.4.6")
    }

    static let unknown: [(String, Zone, Bool, String)] = [
        (
            "an MX lookup that failed never falls back to the address",
            ["d.example MX": ["SERVFAIL"], "d.example A": ["5.6.7.1"]], true,
            "no DNS answer for d.example (MX): SERVFAIL"
        ),
        (
            "a forged MX is not used", ["d.example MX": ["BOGUS"], "d.example A": ["5.6.7.1"]], false,
            "the DNS answer for d.example (MX) is bogus by DNSSEC: signature expired"
        ),
        (
            "no host has an address, and of one it is not known",
            [
                "d.example MX": ["10 a.example", "20 b.example"], "b.example A": ["SERVFAIL"],
                "b.example AAAA": ["5.6.7.1"],
            ], true, "no DNS answer for b.example (A): SERVFAIL"
        ),
    ]

    @Test("what is not known now is deferred with 4.4.3", arguments: unknown)
    func deferred(what: String, zone: Zone, isUnanswered: Bool, text: String) {
        var zone = zone
        zone["b.example AAAA"] = nil
        #expect(
            Self.result("d.example", zone) == .deferred(Reply(451, "4.4.3", text), isUnanswered: isUnanswered),
            "\(what)")
    }

    @Test(
        "an address literal is its own host",
        arguments: [("[5.6.7.7]", "5.6.7.7"), ("[IPv6:2a00:1::7]", "2a00:1::7"), ("[ipv6:2a00:1::7]", "2a00:1::7")])
    func literal(domain: String, address: String) {
        #expect(Self.hosts(Self.result(domain, [:])) == ["0 \(address) [\"\(address)\"]"])
    }

    @Test("a literal that is private is refused, unless allowed")
    func privateLiteral() {
        guard case .rejected(let reply) = Self.result("[127.0.0.1]", [:]) else { return #expect(Bool(false)) }
        #expect(reply.enhanced == "5.4.4")
        #expect(Self.hosts(Self.result("[127.0.0.1]", [:], allowsPrivate: true)) == ["0 127.0.0.1 [\"127.0.0.1\"]"])
        guard case .rejected = Self.result("[nonsense]", [:]) else { return #expect(Bool(false)) }
    }

    @Test("however many hosts and addresses there are, no more than some are looked at")
    func bounded() throws {
        var zone: Zone = ["d.example MX": (0..<100).map { "\($0) h\($0).example" }]
        for host in 0..<100 { zone["h\(host).example A"] = (1...50).map { "5.6.7.\($0)" } }
        var search = ExchangeSearch(domain: "d.example", hostname: "us.example", allowsPrivate: false)
        guard case .ask(let first) = search.begin(),
            case .ask(let questions) = search.answered(first[0], Self.answer(first[0], zone))
        else { return #expect(Bool(false)) }
        #expect(questions.count == 2 * ExchangeSearch.hostsMax)
        var step = ExchangeSearch.Step.wait
        for question in questions { step = search.answered(question, Self.answer(question, zone)) }
        guard case .found(let exchange) = step else { return #expect(Bool(false)) }
        #expect(exchange.exchangers.count == ExchangeSearch.hostsMax)
        #expect(exchange.exchangers.allSatisfy { $0.addresses.count == ExchangeSearch.addressesMax })
        #expect(exchange.seconds == 300)
    }

    @Test("the way is proven where DNSSEC proves the records and the addresses")
    func secure() {
        let zone: Zone = ["d.example MX": ["10 a.example"], "a.example A": ["5.6.7.1"]]
        for (mx, address, isSecure) in [(true, true, true), (true, false, false), (false, true, false)] {
            var search = ExchangeSearch(domain: "d.example", hostname: "us.example", allowsPrivate: false)
            var step = search.begin()
            while case .ask(let questions) = step {
                for question in questions {
                    step = search.answered(
                        question, Self.answer(question, zone, isSecure: question.type == .mx ? mx : address))
                }
            }
            guard case .found(let exchange) = step else { return #expect(Bool(false)) }
            #expect(exchange.exchangers.map(\.isSecure) == [isSecure])
        }
    }
}
