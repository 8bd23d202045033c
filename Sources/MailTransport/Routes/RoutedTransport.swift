// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// One relay as the routes know it.
package struct RoutedRelay {
    package var name: String
    package var transport: any MailTransport
    /// nil: as many as the relay takes.
    package var messagesPerSecond: Double?
    package var observer: (any RouteObserver)?

    package init(
        _ transport: any MailTransport, messagesPerSecond: Double? = nil, observer: (any RouteObserver)? = nil
    ) {
        name = transport.name
        self.transport = transport
        self.messagesPerSecond = messagesPerSecond
        self.observer = observer
    }
}

/// Hears of a relay's breaker, on the delivery loop.
package protocol RouteObserver: AnyObject {
    /// No session comes about; the next mail to try goes in so many seconds.
    func opened(_ cause: String, seconds: Double)
    func probing()
    func closed()
}

/// What a gate asks of all the relays together.
protocol RelayHouse: AnyObject {
    var relayCount: Int { get }
    func maySend(_ gate: RelayGate) -> Bool
    func mayHold(_ gate: RelayGate) -> Bool
    /// The mail is offered to its next relay, or put off.
    func proceed(_ parcel: Parcel)
    func putOff(_ parcel: Parcel, by gate: RelayGate, seconds: Double)
    /// It has room again, and so may others have.
    func moved(_ gate: RelayGate)
}

/// Mail over several relays: each recipient by its route, each route over its relays in fail-over order, each relay as
/// fast as it takes mail.
///
/// Every mail is answered once, and never from within `send`. What no relay takes now is put off: nothing was tried,
/// and it may come again. A relay never holds so many workers that none is left for each of the others.
package final class RoutedTransport: MailTransport {
    package let name = "routes"
    private let table: RouteTable
    private let loop: any EventLoop
    private var gates: [RelayGate] = []
    private var workers = Limits.workersDefault
    private var isClosing = false

    /// - Parameters:
    ///   - relays: at least one; the table's numbers are indices into it.
    ///   - chance: 0 up to 1, for the jitter of probes.
    package init(
        _ relays: [RoutedRelay], table: RouteTable, loop: any EventLoop,
        chance: @escaping () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.table = table
        self.loop = loop
        gates = relays.map { RelayGate($0, of: self, loop: loop, chance: chance) }
    }

    package func send(_ mail: Mail, done: @escaping (Outcome) -> Void) {
        if let relays = table.onlyWay { return proceed(Parcel(mail, relays: relays, done: done)) }
        let shares = table.shares(
            sender: mail.sender, recipients: mail.recipients, queue: mail.queue, tags: mail.tags)
        if shares.count == 1 { return proceed(Parcel(mail, relays: shares[0].relays, done: done)) }
        guard !shares.isEmpty else {
            let nothing = Outcome(verdicts: [], relay: name)
            return loop.assumeIsolated().execute { done(nothing) }
        }
        let assembly = Assembly(recipients: mail.recipients.count, shares: shares.count, done: done)
        for share in shares {
            let part = mail.part(share.recipients)
            proceed(Parcel(part, relays: share.relays) { assembly.add($0, for: share.recipients) })
        }
    }

    /// Mail in line is put off; what relays have in hand they finish.
    package func close(done: @escaping () -> Void) {
        isClosing = true
        var open = gates.count
        for gate in gates { gate.clearLine() }
        for gate in gates {
            gate.transport.close {
                open -= 1
                if open == 0 { done() }
            }
        }
    }

    package func shared(by nodes: Int) { for gate in gates { gate.shared(by: nodes) } }

    package func staffed(by workers: Int) {
        self.workers = workers
        for gate in gates {
            // The others have one each, whatever happens.
            gate.transport.staffed(by: max(1, workers - gates.count + 1))
            gate.pump()
        }
    }

    package var reports: [TransportReport] { gates.map(\.report) }
}

extension RoutedTransport: RelayHouse {
    var relayCount: Int { gates.count }

    /// One worker is kept for each relay that has nothing in hand: whatever happens to the others, its mail goes.
    func maySend(_ gate: RelayGate) -> Bool { hasRoom(for: gate, beside: gate.inFlight, \.inFlight) }

    func mayHold(_ gate: RelayGate) -> Bool { hasRoom(for: gate, beside: gate.inHand, \.inHand) }

    private func hasRoom(for gate: RelayGate, beside own: Int, _ load: (RelayGate) -> Int) -> Bool {
        guard gates.count > 1, own > 0 else { return true }
        var total = 1
        for other in gates { total += other === gate ? own : max(1, load(other)) }
        return total <= workers
    }

    func proceed(_ parcel: Parcel) {
        while !isClosing, parcel.asked < parcel.relays.count {
            let gate = gates[parcel.relays[parcel.asked]]
            parcel.asked += 1
            switch gate.take(parcel) {
            case nil: return
            case .busy(let seconds): return putOff(parcel, by: gate, seconds: seconds)
            case .away: break
            }
        }
        let relays = parcel.relays.map { gates[$0] }
        let soonest = relays.min { $0.secondsUntilProbe < $1.secondsUntilProbe } ?? gates[0]
        putOff(parcel, by: soonest, seconds: soonest.secondsUntilProbe)
    }

    func putOff(_ parcel: Parcel, by gate: RelayGate, seconds: Double) {
        let wait = isClosing ? Self.closingSeconds : gate.comeAgain(after: max(seconds, Self.returnSecondsMin))
        let cause = gate.cause ?? Reply(451, "4.4.5", "relay \(gate.transport.name) has as much mail as it takes")
        var outcome = Outcome(
            verdicts: parcel.mail.recipients.map { _ in .deferred(cause) }, relay: gate.transport.name)
        outcome.putOff = PutOff(
            relay: gate.transport.name, cause: cause, seconds: wait,
            recipients: Array(parcel.mail.recipients.indices))
        loop.assumeIsolated().execute { [outcome] in parcel.answer(outcome) }
    }

    /// Soon enough where a probe is due at once, and not a rush.
    private static let returnSecondsMin = 0.1

    /// By then those who take our place are there.
    private static let closingSeconds = 0.1

    func moved(_ gate: RelayGate) {
        guard gates.count > 1 else { return }
        for other in gates where other !== gate && other.inHand > other.inFlight { other.pump() }
    }
}
