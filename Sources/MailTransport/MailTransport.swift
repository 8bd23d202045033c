// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// A composed message on its way: what any transport of e-mail needs, and nothing of the job it came from.
package struct Mail: Sendable {
    package let job: JobID
    /// Envelope sender without angle brackets; empty for the null reverse-path (RFC 5321 §4.5.5).
    package let sender: String
    /// Envelope recipients that this attempt is for, without angle brackets.
    package let recipients: [String]
    /// RFC 5322 message, all lines ended by CRLF, no dot-stuffing.
    package let message: ByteBuffer
    /// The body has octets over 127 and needs 8BITMIME (RFC 6152).
    package let needs8BitMIME: Bool
    /// The header has octets over 127, so that every recipient's server must offer SMTPUTF8 (RFC 6531 §3.1). Of the
    /// envelope's addresses this says nothing.
    package let needsSMTPUTF8: Bool

    package init(
        job: JobID, sender: String, recipients: [String], message: ByteBuffer, needs8BitMIME: Bool,
        needsSMTPUTF8: Bool = false
    ) {
        self.job = job
        self.sender = sender
        self.recipients = recipients
        self.message = message
        self.needs8BitMIME = needs8BitMIME
        self.needsSMTPUTF8 = needsSMTPUTF8
    }
}

/// How one attempt ended: a verdict for each recipient, in the order of `Mail.recipients`.
package struct Outcome: Sendable {
    package var verdicts: [Verdict]
    /// Name of the relay or transport as configured.
    package var relay: String
    /// Address and port of the server that spoke, where one did.
    package var peer: String?
    /// Such as `TLSv1.3`; nil in clear.
    package var tls: String?

    package init(verdicts: [Verdict], relay: String, peer: String? = nil, tls: String? = nil) {
        self.verdicts = verdicts
        self.relay = relay
        self.peer = peer
        self.tls = tls
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
    var report: TransportReport { get }
}

/// A transport's numbers as `mailctl status` shows them.
package struct TransportReport: Sendable {
    package var name: String
    /// "smtp", "maildir".
    package var transport: String
    /// host:port or directory.
    package var address: String
    package var connections = 0
    package var idle = 0
    package var delivered = 0
    package var deferred = 0
    package var rejected = 0

    package init(name: String, transport: String, address: String) {
        self.name = name
        self.transport = transport
        self.address = address
    }
}
