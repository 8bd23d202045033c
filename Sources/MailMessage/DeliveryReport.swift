// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What a sender is told of a mail that some recipients never got (RFC 3464).
package struct DeliveryReport: Sendable {
    package struct Recipient: Equatable, Sendable {
        /// Without angle brackets.
        package var address: String
        /// The last word on it; nil where nothing was ever tried.
        package var reply: Reply?
        /// Whose word that is: `[192.0.2.1]`; nil where no server spoke, or it is not known which one.
        package var server: String?
        /// The reply is a server's own, and not maild's.
        package var isServersReply = false
        package var lastAttempt: WallTime?

        package init(address: String, reply: Reply? = nil, lastAttempt: WallTime? = nil) {
            self.address = address
            self.reply = reply
            self.lastAttempt = lastAttempt
        }
    }

    /// Of the report, as `Mailbox` reads it.
    package var from: String
    /// The envelope's sender of the mail that failed.
    package var to: String
    package var hostname: String
    /// The job that failed.
    package var job: JobID
    /// RFC 3461 §4.4, as the sender gave it.
    package var envelopeID: String?
    package var recipients: [Recipient] = []
    /// The mail that failed, all lines ended by CRLF.
    package var message: [UInt8] = []
    /// The whole mail comes back where that is possible, and not its header alone.
    package var returnsAll = false

    package init(from: String, to: String, hostname: String, job: JobID) {
        self.from = from
        self.to = to
        self.hostname = hostname
        self.job = job
    }
}

extension DeliveryReport.Recipient {
    /// RFC 3463 §2 has three numbers. A reply without them has its class; RFC 3463 §3.5: 4.4.7 is a time that ran out.
    var status: String {
        guard let reply else { return "4.4.7" }
        if Self.isStatus(reply.enhanced) { return reply.enhanced }
        return (500...599).contains(reply.code) ? "5.0.0" : "4.0.0"
    }

    private static func isStatus(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: 0x2E, omittingEmptySubsequences: false)
        return parts.count == 3 && parts.allSatisfy { (1...3).contains($0.count) && $0.allSatisfy { $0 &- 0x30 < 10 } }
    }

    /// `550 5.1.1 no such user`
    var words: String {
        guard let reply else { return "its time was over before anything could be tried" }
        let code = reply.code > 0 ? "\(reply.code)" : ""
        return [code, reply.enhanced, reply.text].filter { !$0.isEmpty }.joined(separator: " ")
    }
}
