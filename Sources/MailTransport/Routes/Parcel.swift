// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// One mail, or a share of it that takes a way of its own, with the relays that may still take it.
final class Parcel {
    let mail: Mail
    /// In fail-over order.
    let relays: [Int]
    /// How many of these were asked.
    var asked = 0
    /// Monotonic seconds; those at which it was given to a transport, and until which it may wait in line.
    var sentAt = 0.0
    var patienceEnds = 0.0
    private var done: ((Outcome) -> Void)?

    init(_ mail: Mail, relays: [Int], done: @escaping (Outcome) -> Void) {
        self.mail = mail
        self.relays = relays
        self.done = done
    }

    func answer(_ outcome: Outcome) {
        assert(done != nil && outcome.verdicts.count == mail.recipients.count, "a mail was answered twice")
        let done = self.done
        self.done = nil
        done?(outcome)
    }

    deinit { assert(done == nil, "a mail was forgotten") }
}

/// Puts the outcomes of a mail's shares together: verdicts in the order of the mail's recipients.
final class Assembly {
    private var verdicts: [Verdict?]
    private var relays: [String] = []
    private var peers: [String] = []
    /// Of the shares that reached a server.
    private var versions: [String] = []
    private var putOff: PutOff?
    private var missing: Int
    private let done: (Outcome) -> Void

    init(recipients: Int, shares: Int, done: @escaping (Outcome) -> Void) {
        verdicts = Array(repeating: nil, count: recipients)
        missing = shares
        self.done = done
    }

    /// - Parameter recipients: the share's, as indices into the mail's.
    func add(_ outcome: Outcome, for recipients: [Int]) {
        for (index, verdict) in zip(recipients, outcome.verdicts) { verdicts[index] = verdict }
        if !relays.contains(outcome.relay) { relays.append(outcome.relay) }
        if let peer = outcome.peer {
            if !peers.contains(peer) { peers.append(peer) }
            let version = outcome.tls ?? Self.inClear
            if !versions.contains(version) { versions.append(version) }
        }
        if var more = outcome.putOff {
            more.recipients = more.recipients.map { recipients[$0] }
            putOff = putOff.map { $0.joined(with: more) } ?? more
        }
        missing -= 1
        if missing == 0 { finish() }
    }

    /// A share in clear is named where another was encrypted.
    private static let inClear = "none"

    private func finish() {
        let nobody = Verdict.deferred(Reply(451, "4.3.0", "no relay answered for this recipient"))
        var outcome = Outcome(
            verdicts: verdicts.map { $0 ?? nobody }, relay: relays.joined(separator: ", "),
            peer: peers.isEmpty ? nil : peers.joined(separator: ", "),
            tls: versions.contains { $0 != Self.inClear } ? versions.joined(separator: ", ") : nil)
        outcome.putOff = putOff
        done(outcome)
    }
}
