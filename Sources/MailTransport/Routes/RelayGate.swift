// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// One relay's door: how much mail goes through, how much waits before it, and whether it is open at all.
///
/// Lives on the delivery loop. Mail that may not go at once waits in a short line; what cannot hope to go soon is told
/// to come again, so that it does not keep a worker from another relay's mail.
final class RelayGate {
    /// Why a relay does not take a mail now.
    enum Refusal {
        /// No session comes about: another relay may take it, else it comes again with the next probe.
        case away
        /// It has enough: nobody else is asked.
        case busy(seconds: Double)
    }

    /// Longest wait in line.
    static let patienceSeconds = 2.0
    /// A relay with mail in hand that has answered nothing for so long may hold up no more workers than it has.
    static let stallSeconds = 1.0

    let transport: any MailTransport
    private let name: String
    private let loop: any EventLoop
    private unowned let house: any RelayHouse
    private let observer: (any RouteObserver)?
    private let chance: () -> Double
    private var breaker = Breaker()
    private var throttle = Throttle()
    private var bucket: TokenBucket?
    /// Of all who share the relay.
    private let messagesPerSecond: Double?
    private var room = WaitingRoom()
    private var pace = Pace()
    private var line = CircularBuffer<Parcel>()
    private(set) var inFlight = 0
    /// When it last answered, or was given mail after a rest.
    private var movedAt = 0.0
    private var timer: Scheduled<Void>?

    init(_ relay: RoutedRelay, of house: any RelayHouse, loop: any EventLoop, chance: @escaping () -> Double) {
        transport = relay.transport
        name = relay.name
        observer = relay.observer
        self.house = house
        self.loop = loop
        self.chance = chance
        messagesPerSecond = relay.messagesPerSecond
        bucket = relay.messagesPerSecond.map { TokenBucket(rate: $0, now: loop.seconds) }
    }

    /// Mails that are kept from other relays' workers.
    var inHand: Int { inFlight + line.count }

    var report: TransportReport {
        var report = transport.reports.first ?? TransportReport(name: name, transport: "", address: "")
        let now = loop.seconds
        report.breaker = breaker.state.rawValue
        report.cause = breaker.cause?.words
        report.nextProbeSeconds = breaker.probeAt.map { max(0, $0 - now) }
        report.waiting += line.count + room.count(at: now)
        report.concurrencyMax = throttle.limit(at: now)
        return report
    }

    /// So many maild share what the relay may be given; each takes the same part.
    func shared(by nodes: Int) {
        guard let messagesPerSecond else { return }
        bucket?.change(rate: messagesPerSecond / Double(max(1, nodes)), now: loop.seconds)
    }

    // MARK: Taking mail

    /// Takes the mail, or says why not.
    func take(_ parcel: Parcel) -> Refusal? {
        let now = loop.seconds
        switch breaker.admit(at: now) {
        case .wait: return .away
        case .probe:
            observer?.probing()
            transport.rouse()
            send(parcel, isProbe: true)
            return nil
        case .pass: break
        }
        if line.isEmpty, maySend(at: now) {
            send(parcel, isProbe: false)
            return nil
        }
        guard mayWait(at: now) else { return .busy(seconds: max(1, silence(at: now))) }
        parcel.patienceEnds = now + Self.patienceSeconds
        line.append(parcel)
        arm(at: now)
        return nil
    }

    /// Takes a token where it says yes.
    private func maySend(at now: Double) -> Bool {
        guard house.maySend(self), throttle.wait(inFlight: inFlight, at: now) == 0 else { return false }
        return bucket?.take(at: now) ?? true
    }

    private func mayWait(at now: Double) -> Bool {
        guard house.relayCount > 1 else { return true }
        guard silence(at: now) < Self.stallSeconds else { return false }
        let rate = bucket?.wait(for: line.count + 1, at: now) ?? 0
        guard rate > 0 || throttle.isActive else { return true }
        return rate <= Self.patienceSeconds && house.mayHold(self)
    }

    /// Seconds for which it has owed us an answer.
    private func silence(at now: Double) -> Double {
        inFlight > 0 && !transport.hasManyServers ? now - movedAt : 0
    }

    /// Before that it takes no mail.
    var secondsUntilProbe: Double { breaker.secondsUntilProbe(at: loop.seconds) }
    var cause: Reply? { breaker.cause }

    /// Seconds after which a mail that was refused should come again.
    func comeAgain(after seconds: Double) -> Double {
        let now = loop.seconds
        var rate = WaitingRoom.returnsMax
        if breaker.state == .closed {
            if let bucket { rate = min(rate, bucket.rate) }
            if throttle.isActive { rate = min(rate, max(1, pace.lastSecond(at: now))) }
        }
        return room.next(notBefore: now + seconds, rate: rate, at: now) - now
    }

    // MARK: Sending

    private func send(_ parcel: Parcel, isProbe: Bool) {
        let now = loop.seconds
        if inFlight == 0 { movedAt = now }
        inFlight += 1
        parcel.sentAt = now
        transport.send(parcel.mail) { self.answered(parcel, $0, isProbe) }
    }

    private func answered(_ parcel: Parcel, _ outcome: Outcome, _ isProbe: Bool) {
        let now = loop.seconds
        let before = inFlight
        inFlight -= 1
        movedAt = now
        if let putOff = outcome.putOff, putOff.isOutage, putOff.recipients.count == parcel.mail.recipients.count {
            failed(putOff.cause, isProbe, at: now)
            house.proceed(parcel)
        } else {
            succeeded(parcel, outcome, before, at: now)
            parcel.answer(outcome)
        }
        pump()
        house.moved(self)
    }

    private func failed(_ cause: Reply, _ isProbe: Bool, at now: Double) {
        guard breaker.failed(cause, wasProbe: isProbe, at: now, chance: chance()) else { return }
        observer?.opened(cause.words, seconds: (breaker.probeAt ?? now) - now)
        clearLine()
    }

    private func succeeded(_ parcel: Parcel, _ outcome: Outcome, _ inFlight: Int, at now: Double) {
        pace.count(at: now)
        if breaker.succeeded() {
            room.reopen(at: now)
            observer?.closed()
        }
        if transport.hasManyServers { return }
        if outcome.isThrottled {
            throttle.throttled(sentAt: parcel.sentAt, inFlight: inFlight, at: now)
        } else {
            throttle.succeeded(at: now)
        }
    }

    // MARK: The line

    /// Sends what may go now, and sends away what has waited too long.
    func pump() {
        let now = loop.seconds
        while let first = line.first {
            if breaker.state == .closed, maySend(at: now) {
                send(line.removeFirst(), isProbe: false)
            } else if first.patienceEnds <= now || (house.relayCount > 1 && silence(at: now) >= Self.stallSeconds) {
                house.putOff(line.removeFirst(), by: self, seconds: max(1, silence(at: now)))
            } else {
                break
            }
        }
        arm(at: now)
    }

    /// The relay is away, or we leave: nobody waits here any more.
    func clearLine() {
        let parcels = line
        line = []
        for parcel in parcels { house.proceed(parcel) }
        timer?.cancel()
        timer = nil
    }

    private func arm(at now: Double) {
        guard timer == nil, let first = line.first else { return }
        var wait = first.patienceEnds - now
        if let bucket { wait = min(wait, max(bucket.wait(at: now), Self.tickSeconds)) }
        if let rest = throttle.wait(inFlight: inFlight, at: now), rest > 0 { wait = min(wait, rest) }
        if house.relayCount > 1, inFlight > 0 { wait = min(wait, movedAt + Self.stallSeconds - now) }
        let pause = TimeAmount.nanoseconds(Int64(max(wait, Self.tickSeconds) * 1e9))
        timer = loop.assumeIsolated().scheduleTask(in: pause) {
            self.timer = nil
            self.pump()
        }
    }

    private static let tickSeconds = 0.001
}

extension EventLoop {
    /// Monotonic.
    var seconds: Double { Double(now.uptimeNanoseconds) / 1e9 }
}
