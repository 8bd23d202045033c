// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import NIOCore

/// The first kind of job: composes the message and hands it to a transport, for the recipients that are still open.
package final class EmailKind: JobKind {
    package let type = "email"
    private let hostname: String
    private var bounces = BounceRule()
    private let bench: SigningBench
    private var transport: any MailTransport
    private var isClosed = false
    private var workers = Limits.workersDefault
    private var nodes = 1
    /// Transports of an earlier configuration that still finish their mail.
    private var leaving: [ObjectIdentifier: any MailTransport] = [:]

    /// - Parameter loop: the delivery loop.
    package init(
        hostname: String, transport: any MailTransport, signer: DKIMSigner, bounces: BounceRule = BounceRule(),
        loop: any EventLoop
    ) {
        self.hostname = hostname
        self.bounces = bounces
        self.transport = transport
        bench = SigningBench(signer, loop: loop)
    }

    package func run(_ work: Work, done: @escaping (WorkResult) -> Void) {
        guard work.body.readableBytes > Limits.largeBodyBytes else {
            return composed(Self.compose(work, hostname), work.fates, work.job, done)
        }
        // It would hold up the loop for a tenth of a second and more.
        let (fates, job, hostname) = (work.fates, work.job, hostname)
        bench.run({ Self.compose(work, hostname) }, done: { [self] result in composed(result, fates, job, done) })
    }

    private static func compose(_ work: Work, _ hostname: String) -> Result<ComposedEmail, ComposeError> {
        Result { () throws(ComposeError) in
            try ComposedEmail(work.body, job: work.job, hostname: hostname, trace: work.trace)
        }
    }

    /// - Parameter result: nil where the bench is closed.
    private func composed(
        _ result: Result<ComposedEmail, ComposeError>?, _ before: [Fate]?, _ job: JobID,
        _ done: @escaping (WorkResult) -> Void
    ) {
        let composed: ComposedEmail
        switch result {
        case .success(let email): composed = email
        case .failure(let error): return done(.impossible(error.description))
        case nil: return done(.stopping(before))
        }
        let email = composed.envelope
        var fates = before
        if let before, before.count != email.recipients.count {
            // Whoever never came to know the recipients wrote down one that is open.
            guard before.allSatisfy({ $0 == .open }) else {
                let known = "\(before.count) recipients' fates are known, and it has \(email.recipients.count)"
                return done(.damaged(before, known))
            }
            fates = nil
        }
        let open = email.recipients.indices.filter { isOpen($0, fates) }
        let needs = (eightBit: composed.message.needs8BitMIME, utf8: composed.message.needsSMTPUTF8)
        // The message itself is not held on to: there is one copy of it, the one that is sent.
        bench.sign(composed.message.bytes, at: job.time) { [self, fates] signed in
            let finish = { (outcome: Outcome) in done(WorkResult(email, fates, open, outcome)) }
            switch signed {
            case .success(let message):
                let recipients =
                    open.count == email.recipients.count ? email.recipients : open.map { email.recipients[$0] }
                var mail = Mail(
                    job: job, sender: email.sender, recipients: recipients, message: message,
                    needs8BitMIME: needs.eightBit, needsSMTPUTF8: needs.utf8, dsn: email.dsn)
                mail.queue = email.queue
                mail.tags = email.tags
                send(mail, done: finish)
            // RFC 3463 §3.4: X.3.0, some trouble of the system. Unsigned it would be taken for a forgery.
            case .failure(let error): finish(.deferred(open.count, Reply(451, "4.3.0", "\(error)")))
            }
        }
    }

    private func send(_ mail: Mail, done: @escaping (Outcome) -> Void) {
        guard !isClosed else {
            return done(.deferred(mail.recipients.count, Reply(451, "4.3.2", "maild is stopping")))
        }
        transport.send(mail, done: done)
    }

    private func isOpen(_ recipient: Int, _ fates: [Fate]?) -> Bool {
        guard let fates else { return true }
        return fates[recipient] == .open
    }

    /// A reload: mail under way goes on by the old transport, the rest by the new one.
    package func replace(_ transport: any MailTransport) {
        let old = self.transport
        self.transport = transport
        transport.staffed(by: workers)
        transport.shared(by: nodes)
        close(old) {}
    }

    /// A reload: what is composed from now on is signed by these keys.
    package func replace(_ signer: DKIMSigner) { bench.signer = signer }

    /// A reload: who is told of a failure from now on.
    package func replace(_ bounces: BounceRule) { self.bounces = bounces }

    package func mayReport(_ line: ByteBuffer) -> Bool { bounces.mayReport(line) }

    package func report(_ failure: FailedWork, done: @escaping (FailureReport) -> Void) {
        let (bounces, hostname) = (bounces, hostname)
        guard failure.line.readableBytes > Limits.largeBodyBytes else {
            return done(bounces.report(failure, hostname: hostname))
        }
        bench.run({ bounces.report(failure, hostname: hostname) }, done: { done($0 ?? .stopping) })
    }

    package func staffed(by workers: Int) {
        self.workers = workers
        transport.staffed(by: workers)
    }

    package func shared(by nodes: Int) {
        self.nodes = nodes
        transport.shared(by: nodes)
    }

    package func close(done: @escaping () -> Void) {
        isClosed = true
        bench.close { [self] in close(transport, done) }
    }

    private func close(_ old: any MailTransport, _ done: @escaping () -> Void) {
        leaving[ObjectIdentifier(old)] = old
        old.close { [self] in
            leaving[ObjectIdentifier(old)] = nil
            done()
        }
    }

    package var reports: [TransportReport] { transport.reports }
}

extension Outcome {
    /// It never came to a transport.
    fileprivate static func deferred(_ recipients: Int, _ reply: Reply) -> Outcome {
        Outcome(verdicts: Array(repeating: .deferred(reply), count: recipients), relay: "maild")
    }
}

extension WorkResult {
    init(_ email: EmailEnvelope, _ before: [Fate]?, _ open: [Int], _ outcome: Outcome) {
        var fates = before ?? [Fate](repeating: .open, count: email.recipients.count)
        var tried: [Trial] = []
        tried.reserveCapacity(open.count)
        let untried = outcome.putOff.map { Set($0.recipients) } ?? []
        for (place, (index, verdict)) in zip(open, outcome.verdicts).enumerated() where !untried.contains(place) {
            // Unknown: sent again, with the same Message-ID.
            fates[index] = Fate(verdict)
            tried.append(Trial(recipient: email.recipients[index], verdict: verdict))
        }
        self.init(
            fates: fates, tried: tried, relay: outcome.relay, peer: outcome.peer, tls: outcome.tls,
            sender: email.sender, ref: email.ref, putOff: outcome.putOff)
    }

    /// The intake let it pass and the composer cannot make a message of it: it never will.
    static func impossible(_ reason: String) -> WorkResult {
        let verdict = Verdict.rejected(Reply(554, "5.6.0", reason))
        return WorkResult(fates: [.rejected], tried: [Trial(recipient: "", verdict: verdict)], relay: "maild")
    }

    /// It never came to be composed.
    static func stopping(_ fates: [Fate]?) -> WorkResult {
        var result = WorkResult(fates: fates ?? [.open], tried: [], relay: "maild")
        let cause = Reply(451, "4.3.2", "maild is stopping")
        result.putOff = PutOff(relay: "maild", cause: cause, seconds: 0, recipients: [])
        return result
    }
}
