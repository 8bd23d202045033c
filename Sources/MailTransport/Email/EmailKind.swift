// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import NIOCore

/// The first kind of job: composes the message and hands it to a transport, for the recipients that are still open.
package final class EmailKind: JobKind {
    package let type = "email"
    private let hostname: String
    private var transport: any MailTransport
    /// Transports of an earlier configuration that still finish their mail.
    private var leaving: [ObjectIdentifier: any MailTransport] = [:]

    package init(hostname: String, transport: any MailTransport) {
        self.hostname = hostname
        self.transport = transport
    }

    package func run(_ work: Work, done: @escaping (WorkResult) -> Void) {
        let email: ComposedEmail
        do throws(ComposeError) {
            email = try ComposedEmail(work.body, job: work.job, hostname: hostname)
        } catch {
            return done(.impossible(work, error.description))
        }
        let fates = work.fates?.count == email.recipients.count ? work.fates : nil
        let open = email.recipients.indices.filter { isOpen($0, fates) }
        let mail = Mail(
            job: work.job, sender: email.sender, recipients: open.map { email.recipients[$0] },
            message: ByteBuffer(bytes: email.message.bytes), needs8BitMIME: email.message.needs8BitMIME)
        if email.message.needsSMTPUTF8 { return done(WorkResult(email, fates, open, .needsSMTPUTF8(mail))) }
        transport.send(mail) { outcome in done(WorkResult(email, fates, open, outcome)) }
    }

    private func isOpen(_ recipient: Int, _ fates: [Fate]?) -> Bool {
        guard let fates else { return true }
        return fates[recipient] == .open
    }

    /// A reload: mail under way goes on by the old transport, the rest by the new one.
    package func replace(_ transport: any MailTransport) {
        let old = self.transport
        self.transport = transport
        close(old) {}
    }

    package func close(done: @escaping () -> Void) {
        close(transport, done)
    }

    private func close(_ old: any MailTransport, _ done: @escaping () -> Void) {
        leaving[ObjectIdentifier(old)] = old
        old.close { [self] in
            leaving[ObjectIdentifier(old)] = nil
            done()
        }
    }

    package var reports: [TransportReport] { [transport.report] }
}

extension Outcome {
    /// RFC 6531 §3.1: an address beyond ASCII needs SMTPUTF8 from end to end, which no transport offers yet.
    fileprivate static func needsSMTPUTF8(_ mail: Mail) -> Outcome {
        let reply = Reply(553, "5.6.7", "internationalised addresses are not supported")
        return Outcome(verdicts: mail.recipients.map { _ in .rejected(reply) }, relay: "maild")
    }
}

extension WorkResult {
    init(_ email: ComposedEmail, _ before: [Fate]?, _ open: [Int], _ outcome: Outcome) {
        var fates = before ?? [Fate](repeating: .open, count: email.recipients.count)
        var tried: [Trial] = []
        tried.reserveCapacity(open.count)
        for (index, verdict) in zip(open, outcome.verdicts) {
            switch verdict {
            case .delivered: fates[index] = .delivered
            case .rejected: fates[index] = .rejected
            // Unknown: sent again, with the same Message-ID. At least once is the promise.
            case .deferred, .unknown: break
            }
            tried.append(Trial(recipient: email.recipients[index], verdict: verdict))
        }
        self.init(
            fates: fates, tried: tried, relay: outcome.relay, peer: outcome.peer, tls: outcome.tls,
            sender: email.sender, ref: email.ref)
    }

    /// The intake let it pass and the composer cannot make a message of it: it never will.
    static func impossible(_ work: Work, _ reason: String) -> WorkResult {
        let verdict = Verdict.rejected(Reply(554, "5.6.0", reason))
        return WorkResult(fates: [.rejected], tried: [Trial(recipient: "", verdict: verdict)], relay: "maild")
    }
}
