// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// Mail to names of this machine, `NAME@localhost`, goes into the Maildir; all other mail by the relays.
///
/// No relay could deliver it: what `localhost` means is each machine's own affair (RFC 6761 §6.3). The Maildir is made,
/// with its threads, when the first such mail comes.
package final class LocalDelivery: MailTransport {
    private let relays: any MailTransport
    private let makeMaildir: () -> any MailTransport
    private var maildir: (any MailTransport)?

    package init(beside relays: any MailTransport, maildir: @escaping () -> any MailTransport) {
        self.relays = relays
        makeMaildir = maildir
    }

    package var name: String { relays.name }

    package func send(_ mail: Mail, done: @escaping (Outcome) -> Void) {
        guard mail.recipients.contains(where: Self.isLocal) else { return relays.send(mail, done: done) }
        let maildir = self.maildir ?? makeMaildir()
        self.maildir = maildir
        let local = mail.recipients.indices.filter { Self.isLocal(mail.recipients[$0]) }
        guard local.count < mail.recipients.count else { return maildir.send(mail, done: done) }
        let remote = mail.recipients.indices.filter { !Self.isLocal(mail.recipients[$0]) }
        let assembly = Assembly(recipients: mail.recipients.count, shares: 2, done: done)
        maildir.send(mail.part(local)) { assembly.add($0, for: local) }
        relays.send(mail.part(remote)) { assembly.add($0, for: remote) }
    }

    /// RFC 5321 §2.4: a domain's case means nothing.
    package static func isLocal(_ address: String) -> Bool {
        var address = address
        return address.withUTF8 { octets in
            guard octets.count > domain.utf8CodeUnitCount else { return false }
            let start = octets.count - domain.utf8CodeUnitCount
            // Nearly every address ends otherwise.
            guard octets[start] == UInt8(ascii: "@") else { return false }
            for index in 1..<domain.utf8CodeUnitCount
            where octets[start + index] | 0x20 != domain.utf8Start[index] { return false }
            return true
        }
    }

    private static let domain: StaticString = "@localhost"

    package func close(done: @escaping () -> Void) {
        guard let maildir else { return relays.close(done: done) }
        relays.close { maildir.close(done: done) }
    }

    package var reports: [TransportReport] { relays.reports + (maildir?.reports ?? []) }
    package func rouse() { relays.rouse() }
    package func staffed(by workers: Int) { relays.staffed(by: workers) }
    package func shared(by nodes: Int) { relays.shared(by: nodes) }
}
