// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailJob
import NIOCore

/// Mail straight to the hosts that take it for each recipient's domain (RFC 5321 §5.1), a destination for each domain.
///
/// Lives on the delivery loop. Every mail is answered once, and never from within `send`. What it remembers of domains
/// and hosts is bounded: the least recently used are forgotten.
package final class MXTransport: MailTransport {
    package let configuration: MXConfiguration
    let chance: () -> Double
    private(set) var workers = Limits.workersDefault
    private(set) var mailsInHand = 0
    private(set) var isClosing = false
    private let loop: any EventLoop
    private let lookups: Lookups
    private let encryption: RelayTLS?
    private let observer: (any SMTPObserver)?
    private let connector: Connector?
    private var destinations: [String: Destination] = [:]
    private var hosts: [String: ExchangeHost] = [:]
    /// Destinations with mail in line.
    private var watched: [ObjectIdentifier: Destination] = [:]
    private var ticker: Scheduled<Void>?
    private var closers: [() -> Void] = []
    private var generator = SystemRandomNumberGenerator()
    private var crowded = 0
    private var crowdedAt = -Double.infinity
    private var delivered = 0
    private var deferred = 0
    private var rejected = 0

    /// - Parameters:
    ///   - encryption: there wherever the configuration has TLS.
    ///   - connector: nil: TCP to the hosts' addresses.
    ///   - chance: 0 up to 1, for the jitter of probes.
    package init(
        _ configuration: MXConfiguration, loop: any EventLoop, lookups: Lookups, encryption: RelayTLS? = nil,
        observer: (any SMTPObserver)? = nil, connector: Connector? = nil,
        chance: @escaping () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.configuration = configuration
        self.loop = loop
        self.lookups = lookups
        self.encryption = encryption
        self.observer = observer
        self.connector = connector
        self.chance = chance
    }

    package var name: String { configuration.name }
    package var hasManyServers: Bool { true }
    package func staffed(by workers: Int) { self.workers = workers }

    package func send(_ mail: Mail, done: @escaping (Outcome) -> Void) {
        mailsInHand += 1
        let shares = Convoy.shares(mail.recipients)
        guard shares.count != 1 else { return send(mail, to: shares[0].domain) { self.answered($0, done) } }
        guard !shares.isEmpty else {
            let nothing = Outcome(verdicts: [], relay: name)
            return loop.assumeIsolated().execute { self.answered(nothing, done) }
        }
        Convoy(mail, by: shares) { domain, part, done in
            self.send(part, to: domain, done: done)
        } done: {
            self.answered($0, done)
        }.begin()
    }

    private func send(_ mail: Mail, to domain: String, done: @escaping (Outcome) -> Void) {
        let haul = Haul(mail, on: loop, done: done)
        guard !isClosing else {
            let cause = Reply(451, "4.3.2", "maild is stopping")
            return haul.putOff(cause, relay: name, seconds: Self.closingSeconds, isOutage: false)
        }
        destination(domain).take(haul)
    }

    private func answered(_ outcome: Outcome, _ done: (Outcome) -> Void) {
        mailsInHand -= 1
        let untried = Set(outcome.putOff?.recipients ?? [])
        for (index, verdict) in outcome.verdicts.enumerated() where !untried.contains(index) { count(verdict) }
        done(outcome)
        endIfClosed()
    }

    private func count(_ verdict: Verdict) {
        switch verdict {
        case .delivered: delivered += 1
        case .deferred, .unknown: deferred += 1
        case .rejected: rejected += 1
        }
    }

    // MARK: Closing

    /// By then those who take our place are there.
    static let closingSeconds = 0.1

    /// Mail in line is put off; what hosts have in hand they finish.
    package func close(done: @escaping () -> Void) {
        isClosing = true
        closers.append(done)
        for destination in destinations.values { destination.clearLine(seconds: Self.closingSeconds) }
        for (name, host) in hosts { host.close { self.forget(name) } }
        endIfClosed()
    }

    private func forget(_ name: String) {
        hosts[name] = nil
        endIfClosed()
    }

    private func endIfClosed() {
        guard isClosing, mailsInHand == 0, hosts.isEmpty, !closers.isEmpty else { return }
        let closers = self.closers
        self.closers = []
        ticker?.cancel()
        loop.assumeIsolated().execute { for closer in closers { closer() } }
    }

    // MARK: Numbers

    /// For people.
    package static func address(port: Int) -> String { "each domain's MX" + (port == 25 ? "" : ", port \(port)") }

    package var reports: [TransportReport] {
        let address = Self.address(port: configuration.port)
        var report = TransportReport(name: name, transport: "mx", address: address)
        let now = self.now
        report.connections = hosts.values.reduce(0) { $0 + $1.connectionCount }
        report.idle = hosts.values.reduce(0) { $0 + $1.idleCount }
        report.delivered = delivered
        report.deferred = deferred
        report.rejected = rejected
        report.waiting = destinations.values.reduce(0) { $0 + $1.waiting(at: now) }
        report.destinations = destinations.count
        report.awayDestinations = awayDestinations(at: now)
        return [report]
    }

    private func awayDestinations(at now: Double) -> [AwayDestination] {
        let away = destinations.values.filter(\.isAway).map { (destination: $0, used: $0.usedAt) }
        return away.sorted { $0.used > $1.used }.prefix(Limits.mxShownMax).map { $0.destination.awayReport(at: now) }
    }
}

// MARK: - What destinations ask

extension MXTransport {
    var now: Double { loop.seconds }

    /// Half of the workers or more wait for us.
    var isPressed: Bool { mailsInHand > workers / 2 }

    /// Domains that have more mail than they take, this one included; counted once a second.
    func crowdedCount(at now: Double) -> Int {
        if now - crowdedAt >= 1 {
            crowdedAt = now
            crowded = destinations.values.count { $0.isCrowded(at: now) }
        }
        return max(1, crowded)
    }

    func find(_ domain: String, done: @escaping (ExchangeSearch.Step) -> Void) {
        let search = ExchangeSearch(
            domain: domain, hostname: configuration.ehloName, allowsPrivate: configuration.allowsPrivate)
        // A literal is found at once; whoever asks is told in a later turn all the same.
        lookups.find(search) { step in self.loop.assumeIsolated().execute { done(step) } }
    }

    func checkServers(done: @escaping (ServerCheck) -> Void) { lookups.check(done) }

    func order(_ exchange: MailExchange) -> [Exchanger] {
        let now = self.now
        return exchange.order(isAway: { isAway($0, at: now) }, using: &generator)
    }

    func isAway(_ host: String, at now: Double) -> Bool { hosts[host]?.isAway(at: now) ?? false }
    func hasIdle(_ host: String) -> Bool { hosts[host]?.hasIdle ?? false }

    func host(_ exchanger: Exchanger) -> ExchangeHost {
        if let known = hosts[exchanger.host] {
            known.addresses = exchanger.addresses
            return known
        }
        forgetHosts()
        let host = ExchangeHost(
            exchanger.host, configuration, loop: loop, encryption: encryption, observer: observer,
            connector: connector)
        host.addresses = exchanger.addresses
        hosts[exchanger.host] = host
        return host
    }

    /// Whether one more connection may be opened; those that have nothing to do make room, the oldest first.
    func makeRoom() -> Bool {
        var open = hosts.values.reduce(0) { $0 + $1.connectionCount }
        guard open >= configuration.connectionsMax else { return true }
        for host in hosts.values.filter({ $0.idleCount > 0 }).sorted(by: { $0.usedAt < $1.usedAt }) {
            let before = host.idleCount
            host.quitIdle()
            open -= before
            if open < configuration.connectionsMax { return true }
        }
        return false
    }

    /// The destination has a line, and wants to be called again.
    func watch(_ destination: Destination) {
        watched[ObjectIdentifier(destination)] = destination
        guard ticker == nil, !isClosing else { return }
        ticker = loop.assumeIsolated().scheduleTask(in: .milliseconds(Self.tickMilliseconds)) { self.tick() }
    }

    private static let tickMilliseconds: Int64 = 500

    private func tick() {
        ticker = nil
        let destinations = Array(watched.values)
        watched = [:]
        for destination in destinations { destination.tick() }
    }

    // MARK: Memory

    private func destination(_ domain: String) -> Destination {
        if let known = destinations[domain] { return known }
        forgetDestinations()
        let destination = Destination(domain, of: self)
        destinations[domain] = destination
        return destination
    }

    /// A quarter at a time, so that it is seldom done.
    private func forgetDestinations() {
        guard destinations.count >= Limits.mxDestinationsMax else { return }
        let idle = destinations.values.filter(\.isIdle).sorted { $0.usedAt < $1.usedAt }
        for destination in idle.prefix(Limits.mxDestinationsMax / 4) { destinations[destination.domain] = nil }
    }

    private func forgetHosts() {
        guard hosts.count >= Limits.mxDestinationsMax else { return }
        let idle = hosts.values.filter { $0.connectionCount == $0.idleCount }.sorted { $0.usedAt < $1.usedAt }
        for host in idle.prefix(Limits.mxDestinationsMax / 4) {
            hosts[host.name] = nil
            host.close {}
        }
    }
}
