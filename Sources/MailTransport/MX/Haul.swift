// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// What of one mail goes to one domain, until each of its recipients has a verdict.
final class Haul {
    let mail: Mail
    /// Monotonic seconds: when it came, and when a host was given it last.
    let since: Double
    var sentAt = 0.0
    /// Hosts that spoke with us about it. RFC 5321 §5.1 wants another tried; a third would say the same.
    private(set) var sessions = 0
    static let sessionsMax = 2
    /// Sessions that died under it before a word was said.
    var losses = 0
    static let lossesMax = 3
    /// Hosts that it does not go to again in this attempt.
    var avoided: Set<String> = []
    /// Indices into the mail's recipients.
    private(set) var open: [Int]
    private var verdicts: [Verdict?]
    private var peers: [String] = []
    private var tls: String?
    private let loop: any EventLoop
    private var done: ((Outcome) -> Void)?

    init(_ mail: Mail, on loop: any EventLoop, done: @escaping (Outcome) -> Void) {
        self.mail = mail
        self.loop = loop
        self.done = done
        since = loop.seconds
        open = Array(mail.recipients.indices)
        verdicts = Array(repeating: nil, count: mail.recipients.count)
    }

    deinit { assert(done == nil, "a mail was forgotten") }

    /// For the recipients that are open.
    var openMail: Mail { open.count == mail.recipients.count ? mail : mail.part(open) }

    /// Takes what a host said. Those whom the host's own trouble deferred stay open: another one may take them.
    func settle(_ outcome: Outcome) {
        sessions += 1
        if let peer = outcome.peer, !peers.contains(peer) { peers.append(peer) }
        tls = outcome.tls
        var rest: [Int] = []
        for (index, verdict) in zip(open, outcome.verdicts) {
            verdicts[index] = verdict
            if case .deferred(let reply) = verdict, reply.isHostsTrouble { rest.append(index) }
        }
        open = rest
    }

    // MARK: The answer, in a later turn

    /// All that are open, and were never answered for, get `verdict`.
    func answer(_ verdict: Verdict, relay: String) { finish(outcome(verdict, relay)) }

    func answer(relay: String) { finish(outcome(.deferred(Reply(451, "4.3.0", "no host answered")), relay)) }

    /// Nothing was tried for those who have no verdict yet.
    func putOff(_ cause: Reply, relay: String, seconds: Double, isOutage: Bool) {
        let untried = open.filter { verdicts[$0] == nil }
        var outcome = outcome(.deferred(cause), relay)
        if !untried.isEmpty {
            var putOff = PutOff(relay: relay, cause: cause, seconds: seconds, recipients: untried)
            putOff.isOutage = isOutage && untried.count == mail.recipients.count
            outcome.putOff = putOff
        }
        finish(outcome)
    }

    private func outcome(_ verdict: Verdict, _ relay: String) -> Outcome {
        Outcome(
            verdicts: verdicts.map { $0 ?? verdict }, relay: relay,
            peer: peers.isEmpty ? nil : peers.joined(separator: ", "), tls: tls)
    }

    private func finish(_ outcome: Outcome) {
        assert(done != nil, "a mail was answered twice")
        let done = self.done
        self.done = nil
        loop.assumeIsolated().execute { done?(outcome) }
    }
}

extension Reply {
    /// It speaks of the host and not of the mail or its recipient: 421, X.3.z (mail system), X.4.z (network), RFC 3463
    /// §3.4 and §3.5. Greylisting and other policies (X.7.z) are the same at a domain's next host.
    var isHostsTrouble: Bool {
        code == 421 && !enhanced.hasPrefix("4.7.") || enhanced.hasPrefix("4.3.") || enhanced.hasPrefix("4.4.")
    }
}
