// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailJob

/// Where a domain's mail goes, by RFC 5321 §5.1 and RFC 7505: a value that says what to ask, is told the answers, and
/// comes to a result. It does no I/O.
package struct ExchangeSearch {
    package enum Step: Equatable {
        /// To be asked now, all at once.
        case ask([DNSQuestion])
        /// More answers are awaited.
        case wait
        case found(MailExchange)
        /// No mail can ever be sent there.
        case rejected(Reply)
        /// Not known now. `isUnanswered`: a lookup came to nothing, which may also be our own resolver's fault.
        case deferred(Reply, isUnanswered: Bool)
    }

    /// How many hosts' addresses are looked up: enough for those that are tried when some have none.
    package static let hostsMax = 10
    /// Of each family of one host; more are alternatives nobody needs.
    package static let addressesMax = 4
    /// An exchange is believed for at least so long, so that a TTL of 0 does not cost a lookup for each mail …
    private static let secondsMin = 5
    /// … and no longer than this: connections are cheap to reconsider.
    private static let secondsMax = 300

    private let domain: String
    /// Our own name.
    private let hostname: String
    private let allowsPrivate: Bool
    /// By rising preference.
    private var hosts: [MXRecord] = []
    private var isSecure = false
    private var isImplicit = false
    private var seconds = Self.secondsMax
    private var awaited: Set<DNSQuestion> = []
    private var addresses: [String: [IPAddress]] = [:]
    private var insecureHosts: Set<String> = []
    private var privateHosts: [String: IPAddress] = [:]
    private var trouble: Reply?
    private var isUnanswered = false

    /// - Parameters:
    ///   - domain: in lower case, A-labels; or an address literal with its brackets.
    ///   - allowsPrivate: loopback and private addresses may be connected to.
    package init(domain: String, hostname: String, allowsPrivate: Bool) {
        self.domain = domain
        self.hostname = hostname.lowercased()
        self.allowsPrivate = allowsPrivate
    }

    package mutating func begin() -> Step {
        guard domain.hasPrefix("[") else {
            guard !domain.isEmpty else { return .rejected(Reply(553, "5.1.3", "the recipient has no domain")) }
            let question = DNSQuestion(domain, .mx)
            awaited = [question]
            return .ask([question])
        }
        return literal()
    }

    package mutating func answered(_ question: DNSQuestion, _ answer: DNSAnswer) -> Step {
        guard awaited.remove(question) != nil else { return .wait }
        return question.type == .mx ? exchangersAnswered(answer) : addressAnswered(question, answer)
    }

    // MARK: Address literals

    /// RFC 5321 §4.1.3, §5.1: no lookup, the mail goes to the address itself.
    private func literal() -> Step {
        var text = domain.dropFirst().dropLast()
        if text.lowercased().hasPrefix("ipv6:") { text = text.dropFirst(5) }
        guard let address = IPAddress(text) else {
            return .rejected(Reply(553, "5.1.3", "\(domain) is no address"))
        }
        if let kind = refusal(of: address) { return refused(address, at: nil, kind) }
        return .found(MailExchange([Exchanger("\(address)", addresses: [address])], seconds: Self.secondsMax))
    }

    /// What is wrong with connecting there, such as `a loopback address`; nil where nothing is.
    private func refusal(of address: IPAddress) -> String? {
        allowsPrivate ? nil : SpecialAddress.kind(of: address.bytes)
    }

    private func refused(_ address: IPAddress, at host: String?, _ kind: String) -> Step {
        let place = host.map { "\($0) (\(address))" } ?? "\(address)"
        return .rejected(Reply(550, "5.4.4", "\(domain) takes its mail at \(place), which is \(kind)"))
    }

    // MARK: MX records

    private mutating func exchangersAnswered(_ answer: DNSAnswer) -> Step {
        note(answer)
        isSecure = answer.isSecure
        switch answer.status {
        case .data: return chosen(answer.records.compactMap(MXRecord.init))
        case .noData:
            // RFC 5321 §5.1: without MX records the domain itself is treated as one of preference 0.
            isImplicit = true
            return chosen([MXRecord(preference: 0, exchange: domain)])
        case .noName:
            // RFC 3463 §3.2: X.1.2, bad destination system address.
            return .rejected(Reply(550, "5.1.2", "the domain \(domain) does not exist"))
        case .bogus, .failed:
            noteTrouble(DNSQuestion(domain, .mx), answer.status)
            return conclude()
        }
    }

    private mutating func chosen(_ records: [MXRecord]) -> Step {
        // RFC 7505 §3: a single record with the root as its host says that no mail is taken; §4.2: 556 and X.1.10.
        if records.count == 1, records[0].exchange.isEmpty {
            return .rejected(Reply(556, "5.1.10", "the domain \(domain) takes no mail (null MX)"))
        }
        let usable = records.filter { !$0.exchange.isEmpty }
        guard !usable.isEmpty else {
            return .rejected(Reply(550, "5.4.4", "the MX records of \(domain) name no usable host"))
        }
        // RFC 5321 §5.1: where we are in the list ourselves, only those that are preferred to us may have the mail.
        let own = usable.filter { $0.exchange == hostname }.map(\.preference).min()
        let others = own.map { own in usable.filter { $0.preference < own } } ?? usable
        guard !others.isEmpty else {
            return .rejected(
                Reply(
                    550, "5.4.6",
                    "the mail of \(domain) is for this host itself (\(hostname)), which takes none: give it a route"))
        }
        return lookUp(others)
    }

    // MARK: Addresses

    private mutating func lookUp(_ records: [MXRecord]) -> Step {
        var seen: Set<String> = []
        hosts = Array(
            records.sorted { $0.preference < $1.preference }.filter { seen.insert($0.exchange).inserted }
                .prefix(Self.hostsMax))
        let questions = hosts.flatMap { [DNSQuestion($0.exchange, .aaaa), DNSQuestion($0.exchange, .a)] }
        awaited = Set(questions)
        return .ask(questions)
    }

    private mutating func addressAnswered(_ question: DNSQuestion, _ answer: DNSAnswer) -> Step {
        switch answer.status {
        case .data:
            note(answer)
            if !answer.isSecure { insecureHosts.insert(question.name) }
            add(answer.records.compactMap(IPAddress.init(bytes:)), to: question.name)
        case .noData, .noName: break
        case .bogus, .failed: noteTrouble(question, answer.status)
        }
        return awaited.isEmpty ? conclude() : .wait
    }

    private mutating func add(_ found: [IPAddress], to host: String) {
        let usable = found.filter { refusal(of: $0) == nil }
        if let address = found.first, usable.isEmpty { privateHosts[host] = address }
        addresses[host, default: []] += usable.shuffled().prefix(Self.addressesMax)
    }

    private mutating func note(_ answer: DNSAnswer) { seconds = min(seconds, answer.seconds) }

    private mutating func noteTrouble(_ question: DNSQuestion, _ status: DNSAnswer.Status) {
        // RFC 3463 §3.5: X.4.3, directory server failure.
        switch status {
        case .bogus(let reason):
            trouble = trouble ?? Reply(451, "4.4.3", "the DNS answer for \(question) is bogus by DNSSEC: \(reason)")
        case .failed(let reason):
            isUnanswered = true
            trouble = trouble ?? Reply(451, "4.4.3", "no DNS answer for \(question): \(reason)")
        case .data, .noData, .noName: break
        }
    }

    private func conclude() -> Step {
        let reachable = hosts.compactMap { record -> Exchanger? in
            guard let addresses = addresses[record.exchange], !addresses.isEmpty else { return nil }
            return Exchanger(
                record.exchange, preference: record.preference, addresses: addresses,
                isSecure: isSecure && !insecureHosts.contains(record.exchange))
        }
        if !reachable.isEmpty {
            return .found(MailExchange(reachable, seconds: max(Self.secondsMin, seconds)))
        }
        // What is not known now may be a way later: only certainty fails a mail.
        if let trouble { return .deferred(trouble, isUnanswered: isUnanswered) }
        for host in hosts.map(\.exchange) {
            guard let address = privateHosts[host], let kind = refusal(of: address) else { continue }
            return refused(address, at: host, kind)
        }
        // RFC 5321 §5.1: records of which none is usable are an error; RFC 3463 §3.5: X.4.4, unable to route.
        let reason =
            isImplicit ? "the domain \(domain) has neither MX nor address" : "no MX of \(domain) has an address"
        return .rejected(Reply(550, "5.4.4", reason))
    }
}
