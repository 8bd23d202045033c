// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// A mail to several domains on its way: a share for each of them, so many at a time.
final class Convoy {
    /// Domains that one mail goes to at the same time: enough to be quick, and no storm out of one job.
    static let sharesMax = 16

    private let mail: Mail
    private let assembly: Assembly
    private var rest: [(domain: String, recipients: [Int])]
    private let send: (String, Mail, @escaping (Outcome) -> Void) -> Void

    /// - Parameter send: gives one domain's share away; it answers in a later turn.
    init(
        _ mail: Mail, by shares: [(domain: String, recipients: [Int])],
        send: @escaping (String, Mail, @escaping (Outcome) -> Void) -> Void, done: @escaping (Outcome) -> Void
    ) {
        self.mail = mail
        self.send = send
        rest = shares.reversed()
        assembly = Assembly(recipients: mail.recipients.count, shares: shares.count, done: done)
    }

    func begin() {
        for _ in 0..<min(Self.sharesMax, rest.count) { sendNext() }
    }

    private func sendNext() {
        guard let share = rest.popLast() else { return }
        send(share.domain, mail.part(share.recipients)) { outcome in
            self.assembly.add(outcome, for: share.recipients)
            self.sendNext()
        }
    }

    /// All recipients of one domain together (RFC 5321 §5.1: one copy of the mail), in the order of their first ones.
    static func shares(_ recipients: [String]) -> [(domain: String, recipients: [Int])] {
        var shares: [(domain: String, recipients: [Int])] = []
        var known: [String: Int] = [:]
        for (index, recipient) in recipients.enumerated() {
            let domain = RouteTable.domain(of: recipient)
            if let share = known[domain] {
                shares[share].recipients.append(index)
            } else {
                known[domain] = shares.count
                shares.append((domain, [index]))
            }
        }
        return shares
    }
}
