// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailJob
import NIOCore

/// One recipient domain: where its mail goes, how much of it at a time, and whether it goes at all.
///
/// Lives on the delivery loop. Mail waits in a short line while a session is sought; seeking goes on whether or not the
/// mail that began it is still there, so that a domain without an answer keeps no worker for long.
final class Destination {
    let domain: String
    /// Monotonic seconds.
    private(set) var usedAt: Double
    private unowned let house: MXTransport
    private var breaker = Breaker()
    private var throttle = Throttle()
    private var pace = Pace()
    private var room = WaitingRoom()
    private var exchange: MailExchange?
    private var exchangeUntil = 0.0
    private var line = CircularBuffer<Haul>()
    private var inFlight = 0
    /// Searches for a session that are under way.
    private var walks = 0
    private var isLookingUp = false
    /// Since when nobody was given a mail although there was one; nil while sessions come about.
    private var soughtSince: Double?
    private var putOffAt = -Double.infinity

    init(_ domain: String, of house: MXTransport) {
        self.domain = domain
        self.house = house
        usedAt = house.now
    }

    /// Nothing is under way: it may be forgotten.
    var isIdle: Bool { line.isEmpty && inFlight == 0 && walks == 0 && !isLookingUp }
    var hasLine: Bool { !line.isEmpty }
    var isAway: Bool { breaker.state != .closed }
    /// It was given more than it takes, in these seconds.
    func isCrowded(at now: Double) -> Bool { now - putOffAt < 2 }
    func waiting(at now: Double) -> Int { line.count + room.count(at: now) }

    func awayReport(at now: Double) -> AwayDestination {
        AwayDestination(
            domain: domain, cause: breaker.cause?.words ?? "",
            nextProbeSeconds: breaker.probeAt.map { max(0, $0 - now) })
    }

    // MARK: Mail

    func take(_ haul: Haul) {
        let now = house.now
        usedAt = now
        guard inFlight + line.count < capacity(at: now) else { return putOff(haul, after: Self.breathSeconds) }
        // A search that ended while nobody waited left nothing to wait for.
        if walks == 0, !isLookingUp { soughtSince = nil }
        if let soughtSince, house.isPressed, now - soughtSince >= Self.patienceSeconds {
            return makeRoom(haul, waited: now - soughtSince)
        }
        if case .wait = breaker.admit(at: now), let cause = breaker.cause {
            // Known to be away: an attempt like any other, and a quick one. The retry schedule sets the pace.
            return haul.answer(.deferred(cause), relay: house.name)
        }
        line.append(haul)
        if soughtSince == nil, inFlight == 0 { soughtSince = now }
        advance()
    }

    /// One waits, so that the next begins as soon as one ends.
    private func capacity(at now: Double) -> Int { limit(at: now) + 1 }

    /// Mails under way at a time: as configured, as its servers want it, and never so many that one domain takes all
    /// workers: half of those that others leave.
    private func limit(at now: Double) -> Int {
        let others = max(0, house.mailsInHand - inFlight - line.count)
        let share = max(1, (house.workers - others) / 2)
        let spared = throttle.limit(at: now).map { max(1, Int($0)) } ?? share
        return min(house.configuration.connectionsPerDomainMax, share, spared)
    }

    private func mayGive(at now: Double) -> Bool {
        inFlight < limit(at: now) && throttle.wait(inFlight: inFlight, at: now) == 0
    }

    /// Comes again behind those that were put off before it.
    private func putOff(_ haul: Haul, after seconds: Double) {
        let now = house.now
        putOffAt = now
        // Its mail must not come slower than it goes; all crowded domains together bring no more rows than one relay.
        let rate = max(WaitingRoom.returnsMax / Double(house.crowdedCount(at: now)), 2 * pace.lastSecond(at: now))
        let wait = room.next(notBefore: now + seconds, rate: rate, at: now) - now
        let cause = Reply(451, "4.4.5", "\(domain) has as much mail under way as it is given at a time")
        haul.putOff(cause, relay: house.name, seconds: wait, isOutage: false)
    }

    private static let breathSeconds = 0.5

    // MARK: Sessions

    /// Gives away what can go, and sees to it that the rest can go soon.
    func advance() {
        settleProbe()
        let now = house.now
        guard !line.isEmpty else { return }
        house.watch(self)
        guard let exchange, now < exchangeUntil else { return lookUp() }
        while mayGive(at: now), let haul = line.first, let host = idleHost(exchange, for: haul) {
            line.removeFirst()
            give(haul, to: host)
        }
        seek(exchange, at: now)
    }

    /// A probe that found nothing out, because its mail was sent away meanwhile: the next mail is one again.
    private func settleProbe() {
        guard breaker.state == .halfOpen, isIdle, let cause = breaker.cause else { return }
        breaker.failed(cause, wasProbe: true, at: house.now, chance: house.chance())
    }

    /// A host whose open session has nothing to do.
    private func idleHost(_ exchange: MailExchange, for haul: Haul) -> ExchangeHost? {
        let now = house.now
        return exchange.nearest { house.isAway($0, at: now) }
            .filter { !haul.avoided.contains($0.host) && house.hasIdle($0.host) }
            .randomElement().map(house.host)
    }

    private func seek(_ exchange: MailExchange, at now: Double) {
        while let haul = line.first, walks < min(line.count, limit(at: now) - inFlight),
            throttle.wait(inFlight: inFlight, at: now) == 0
        {
            let order = house.order(exchange).filter { !haul.avoided.contains($0.host) }
            guard !order.isEmpty else {
                line.removeFirst()
                haul.answer(relay: house.name)
                continue
            }
            guard house.makeRoom() else { return }
            walks += 1
            walk(order[...], [])
        }
    }

    /// Knocks at one host after the other until one opens.
    private func walk(_ rest: ArraySlice<Exchanger>, _ causes: [Reply]) {
        guard let next = rest.first, !house.isClosing else { return exhausted(causes) }
        let host = house.host(next)
        host.knock { [self] cause in
            guard let cause else { return reached(host) }
            walk(rest.dropFirst(), causes + [host.isUnrouted ? .unrouted(cause) : cause])
        }
    }

    private func reached(_ host: ExchangeHost) {
        walks -= 1
        soughtSince = nil
        if breaker.succeeded() { room.reopen(at: house.now) }
        if mayGive(at: house.now), host.hasIdle, let index = line.firstIndex(where: { !$0.avoided.contains(host.name) })
        {
            give(line.remove(at: index), to: host)
        }
        advance()
    }

    private func exhausted(_ causes: [Reply]) {
        walks -= 1
        guard walks == 0, !line.isEmpty || breaker.state == .halfOpen || !causes.isEmpty else { return }
        if house.isClosing { return clearLine(seconds: MXTransport.closingSeconds) }
        if hasSession { return crowded() }
        // RFC 7504 §3: 521 in place of a greeting says that the host takes no mail, now or later.
        if let first = causes.first, causes.allSatisfy({ $0.code == 521 }) {
            soughtSince = nil
            breaker.succeeded()
            return answerLine(.rejected(first))
        }
        let cause = Reply.joined(causes)
        if !causes.isEmpty, causes.allSatisfy(\.isUnrouted), !DefaultRoute.exists {
            return stall(Reply(451, "4.4.1", "no network: \(cause.text)"))
        }
        fail(cause)
    }

    private var hasSession: Bool {
        inFlight > 0 || exchange?.exchangers.contains { house.hasIdle($0.host) } ?? false
    }

    /// Its servers take mail over the sessions there are, and want no more of them.
    private func crowded() {
        let now = house.now
        throttle.throttled(sentAt: now, inFlight: inFlight + 1, at: now)
    }

    /// The domain is away: everybody's attempt is over.
    private func fail(_ cause: Reply) {
        soughtSince = nil
        breaker.failed(cause, wasProbe: true, at: house.now, chance: house.chance())
        answerLine(.deferred(cause))
    }

    /// The trouble is ours, and nobody's attempt.
    private func stall(_ cause: Reply) {
        soughtSince = nil
        breaker.succeeded()
        for haul in emptiedLine() { haul.putOff(cause, relay: house.name, seconds: 1, isOutage: true) }
    }

    private func answerLine(_ verdict: Verdict) {
        for haul in emptiedLine() { haul.answer(verdict, relay: house.name) }
    }

    private func emptiedLine() -> CircularBuffer<Haul> {
        let hauls = line
        line = []
        return hauls
    }

    /// We leave, or have no worker to spare: whoever waits comes again.
    func clearLine(seconds: Double) {
        for haul in emptiedLine() {
            let cause = Reply(451, "4.4.1", "no session with a mail server of \(domain) yet")
            haul.putOff(cause, relay: house.name, seconds: seconds, isOutage: false)
        }
    }

    // MARK: Giving

    private func give(_ haul: Haul, to host: ExchangeHost) {
        inFlight += 1
        soughtSince = nil
        haul.sentAt = house.now
        host.send(haul.openMail) { self.answered(haul, host, $0) }
    }

    private func answered(_ haul: Haul, _ host: ExchangeHost, _ outcome: Outcome) {
        let before = inFlight
        inFlight -= 1
        usedAt = house.now
        if let putOff = outcome.putOff {
            lost(haul, host, putOff.cause)
        } else {
            spare(outcome, haul, before)
            haul.settle(outcome)
            haul.avoided.insert(host.name)
            if haul.open.isEmpty || haul.sessions == Haul.sessionsMax || house.isClosing {
                haul.answer(relay: house.name)
            } else {
                line.prepend(haul)
            }
        }
        advance()
    }

    /// The session was gone before the mail could use it.
    private func lost(_ haul: Haul, _ host: ExchangeHost, _ cause: Reply) {
        haul.losses += 1
        if house.isClosing || haul.losses >= Haul.lossesMax {
            haul.answer(.deferred(cause), relay: house.name)
        } else {
            line.prepend(haul)
        }
    }

    private func spare(_ outcome: Outcome, _ haul: Haul, _ inFlight: Int) {
        let now = house.now
        pace.count(at: now)
        breaker.succeeded()
        if outcome.isThrottled {
            throttle.throttled(sentAt: haul.sentAt, inFlight: inFlight, at: now)
        } else {
            throttle.succeeded(at: now)
        }
    }

    // MARK: Time

    /// Called twice a second while there is a line. Where workers are few, whoever waits long makes room for others.
    func tick() {
        let now = house.now
        while house.isPressed, let first = line.first, now - first.since >= Self.patienceSeconds {
            line.removeFirst()
            makeRoom(first, waited: now - first.since)
        }
        advance()
        settleProbe()
    }

    /// The longer a session is sought, the later the mail looks for it again.
    private func makeRoom(_ haul: Haul, waited: Double) {
        putOff(haul, after: min(max(waited, Self.returnSecondsMin), Self.returnSecondsMax))
    }

    /// What most sessions need, twice over.
    private static let patienceSeconds = 1.0
    private static let returnSecondsMin = 5.0
    /// Below `MXConfiguration.idleSecondsMin`: a session that came about meanwhile is still there.
    private static let returnSecondsMax = 15.0

    // MARK: Where to

    private func lookUp() {
        guard !isLookingUp else { return }
        isLookingUp = true
        house.find(domain) { [self] step in
            isLookingUp = false
            usedAt = house.now
            found(step)
        }
    }

    private func found(_ step: ExchangeSearch.Step) {
        switch step {
        case .found(let exchange):
            self.exchange = exchange
            exchangeUntil = house.now + Double(exchange.seconds)
            advance()
        case .rejected(let reply):
            soughtSince = nil
            breaker.succeeded()
            answerLine(.rejected(reply))
        case .deferred(let reply, isUnanswered: false): fail(reply)
        case .deferred(let reply, isUnanswered: true): blame(reply)
        case .ask, .wait: break
        }
    }

    /// A lookup came to nothing: is it the domain, or are we cut off?
    private func blame(_ reply: Reply) {
        isLookingUp = true
        house.checkServers { [self] check in
            isLookingUp = false
            if check.isAnswered { return fail(reply) }
            stall(Reply(451, "4.4.3", "no name server answers (\(check.servers))"))
        }
    }
}

extension Reply {
    /// Marks a failure that this machine's lack of a route caused; it never leaves this file.
    fileprivate static func unrouted(_ cause: Reply) -> Reply { Reply(0, cause.enhanced, cause.text) }
    fileprivate var isUnrouted: Bool { code == 0 }

    /// Why no host of a domain took mail.
    fileprivate static func joined(_ causes: [Reply]) -> Reply {
        guard var joined = causes.last else { return Reply(451, "4.4.1", "no connection") }
        if joined.isUnrouted { joined.code = 451 }
        let texts = causes.map(\.text)
        if texts.count > 1 { joined.text = String(texts.joined(separator: "; ").prefix(Limits.replyTextBytesMax)) }
        return joined
    }
}
