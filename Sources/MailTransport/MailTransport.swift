// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// A composed message on its way: what any transport of e-mail needs, and nothing of the job it came from.
package struct Mail: Sendable {
    package var job: JobID
    /// Envelope sender without angle brackets; empty for the null reverse-path (RFC 5321 §4.5.5).
    package var sender: String
    /// Envelope recipients that this attempt is for, without angle brackets.
    package var recipients: [String]
    /// RFC 5322 message, all lines ended by CRLF, no dot-stuffing.
    package var message: ByteBuffer
    /// The body has octets over 127 and needs 8BITMIME (RFC 6152).
    package var needs8BitMIME: Bool
    /// The header has octets over 127, so that every recipient's server must offer SMTPUTF8 (RFC 6531 §3.1). Of the
    /// envelope's addresses this says nothing.
    package var needsSMTPUTF8: Bool
    /// What the sender wants to hear from the servers on the way; nil: nothing was asked.
    package var dsn: DSNRequest?
    /// The job's, for routes.
    package var queue = "default"
    package var tags: [String] = []

    package init(
        job: JobID, sender: String, recipients: [String], message: ByteBuffer, needs8BitMIME: Bool,
        needsSMTPUTF8: Bool = false, dsn: DSNRequest? = nil
    ) {
        self.job = job
        self.sender = sender
        self.recipients = recipients
        self.message = message
        self.needs8BitMIME = needs8BitMIME
        self.needsSMTPUTF8 = needsSMTPUTF8
        self.dsn = dsn
    }

    /// The same mail for some of its recipients, by their indices.
    func part(_ chosen: [Int]) -> Mail {
        var part = self
        part.recipients = chosen.map { recipients[$0] }
        return part
    }
}

/// How one attempt ended: a verdict for each recipient, in the order of `Mail.recipients`.
package struct Outcome: Sendable {
    package var verdicts: [Verdict]
    /// Name of the relay or transport as configured.
    package var relay: String
    /// Address and port of the server that spoke, where one did.
    package var peer: String?
    /// Who of the recipients was not tried; their verdicts say `deferred` and why.
    package var putOff: PutOff?
    /// Such as `TLSv1.3`; nil in clear. Of a mail that went over several relays all versions, `none` for one in clear.
    package var tls: String?

    package init(verdicts: [Verdict], relay: String, peer: String? = nil, tls: String? = nil) {
        self.verdicts = verdicts
        self.relay = relay
        self.peer = peer
        self.tls = tls
    }
}

/// Recipients for whom nothing was tried, because no relay takes their mail now: no fault of theirs, and no attempt.
package struct PutOff: Equatable, Sendable {
    /// What they wait for.
    package var relay: String
    package var cause: Reply
    /// From now on, when they should come again.
    package var seconds: Double
    /// Indices into the mail's recipients.
    package var recipients: [Int]
    /// No mail at all goes by this relay; otherwise only these recipients have to wait.
    package var isOutage = true

    package init(relay: String, cause: Reply, seconds: Double, recipients: [Int]) {
        self.relay = relay
        self.cause = cause
        self.seconds = seconds
        self.recipients = recipients
    }

    /// Both; what comes first says when and why.
    func joined(with other: PutOff) -> PutOff {
        var joined = other.seconds < seconds ? other : self
        joined.recipients = recipients + other.recipients
        joined.isOutage = isOutage && other.isOutage
        return joined
    }
}

/// One way to hand a message on. Lives on the delivery loop: every call comes on it, every answer is given on it.
///
/// A transport never throws and never forgets: `done` is called exactly once for each `send`, whatever happens.
package protocol MailTransport: AnyObject {
    var name: String { get }
    func send(_ mail: Mail, done: @escaping (Outcome) -> Void)
    /// No more mail will come: says goodbye to its servers; `done` when nothing is open any more.
    func close(done: @escaping () -> Void)
    /// One for each next hop.
    var reports: [TransportReport] { get }
    /// It is to try again now, however lately it failed.
    func rouse()
    /// So many workers share all transports.
    func staffed(by workers: Int)
    /// So many nodes of a fleet share what relays may be given.
    func shared(by nodes: Int)
    /// Behind it are many servers that it spares one by one: what one of them says is not said of all.
    var hasManyServers: Bool { get }
}

extension MailTransport {
    package var hasManyServers: Bool { false }
    package func rouse() {}
    package func staffed(by workers: Int) {}
    package func shared(by nodes: Int) {}
}

/// A transport's numbers as `mailctl status` shows them.
package struct TransportReport: Sendable {
    package var name: String
    /// "smtp", "lmtp", "mx", "maildir".
    package var transport: String
    /// host:port or directory.
    package var address: String
    package var connections = 0
    package var idle = 0
    package var delivered = 0
    package var deferred = 0
    package var rejected = 0
    /// `Breaker.State`.
    package var breaker = "closed"
    /// Why it is not closed.
    package var cause: String?
    /// From now on; nil where no probe is due.
    package var nextProbeSeconds: Double?
    /// Mails in line, or put off until they may go.
    package var waiting = 0
    /// Mails at a time while the relay is spared; nil while it is not.
    package var concurrencyMax: Double?
    /// Domains that are remembered, where mail goes to each one's own servers.
    package var destinations: Int?
    /// Of these, those that are away, the ones with the most mail first; bounded in number.
    package var awayDestinations: [AwayDestination] = []

    package init(name: String, transport: String, address: String) {
        self.name = name
        self.transport = transport
        self.address = address
    }
}

/// A domain whose servers take no mail now.
package struct AwayDestination: Equatable, Sendable {
    package var domain: String
    package var cause: String
    /// From now on; nil while a probe is out.
    package var nextProbeSeconds: Double?

    package init(domain: String, cause: String, nextProbeSeconds: Double?) {
        self.domain = domain
        self.cause = cause
        self.nextProbeSeconds = nextProbeSeconds
    }
}
