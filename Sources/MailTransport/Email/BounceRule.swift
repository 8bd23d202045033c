// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import MailWire
import NIOCore

/// Who is told of a mail's failure, and by what: a bounce message to the envelope's sender (RFC 5321 §6.1).
package struct BounceRule: Equatable, Sendable {
    /// Where a job does not say.
    package var isWanted = false
    /// As `Mailbox` reads it; nil: MAILER-DAEMON at our hostname.
    package var from: String?
    /// The whole mail comes back, where neither the job says otherwise nor the mail is large.
    package var returnsAll = false

    package init() {}

    func mayReport(_ line: ByteBuffer) -> Bool {
        var fields = EmailFields()
        guard fields.read(line) == nil else { return false }
        return isDue(sender: fields.envelopeFrom ?? fields.from, fields.bounce, fields.dsn)
    }

    private func isDue(sender: String, _ bounce: Bool?, _ dsn: DSNRequest?) -> Bool {
        // RFC 5321 §4.5.5, §6.1: never a bounce to the null sender, and so never one of a bounce.
        guard !sender.isEmpty else { return false }
        // RFC 3461 §4.1: NOTIFY without FAILURE, or NEVER, and no failure is told of.
        if let notify = dsn?.notify, !notify.contains(.failure) { return false }
        return bounce ?? isWanted
    }

    /// One for all recipients that never got the mail; those whom another server has it for are that server's business.
    func report(_ failure: FailedWork, hostname: String) -> FailureReport {
        // What cannot be composed was never sent, and cannot come back either.
        guard let composed = try? ComposedEmail(failure.line, job: failure.job, hostname: hostname) else {
            return .none
        }
        let email = composed.envelope
        guard isDue(sender: email.sender, email.bounce, email.dsn) else { return .none }
        var report = DeliveryReport(
            from: from ?? "Mail Delivery System <MAILER-DAEMON@\(hostname)>", to: email.sender, hostname: hostname,
            job: failure.job)
        report.envelopeID = email.dsn?.envelopeID
        report.recipients = Self.failed(email.recipients, failure)
        report.message = composed.message.bytes
        // RFC 3461 §4.3: RET of the mail decides.
        report.returnsAll = email.dsn?.content.map { $0 == .full } ?? returnsAll
        guard !report.recipients.isEmpty, let message = try? MessageComposer.compose(report) else { return .none }
        return .line(Self.line(message, to: email.sender, queue: email.queue))
    }

    private static func failed(_ recipients: [String], _ failure: FailedWork) -> [DeliveryReport.Recipient] {
        let fates = failure.fates?.count == recipients.count ? failure.fates : nil
        var last: [String: (AttemptRecord, AttemptRecord.Fate)] = [:]
        for attempt in failure.attempts { for fate in attempt.fates { last[fate.recipient] = (attempt, fate) } }
        return recipients.enumerated().compactMap { index, address in
            guard fates?[index] != .delivered else { return nil }
            guard let (attempt, fate) = last[address] else { return DeliveryReport.Recipient(address: address) }
            var recipient = DeliveryReport.Recipient(
                address: address, reply: fate.reply, lastAttempt: attempt.at + Double(attempt.milliseconds) / 1000)
            recipient.isServersReply = attempt.peer != nil && fate.reply.code > 0
            recipient.server = recipient.isServersReply ? attempt.peer.flatMap(literal) : nil
            return recipient
        }
    }

    /// RFC 5321 §4.1.3: `[192.0.2.1]` of `192.0.2.1:25`, `[IPv6:2001:db8::1]` of `[2001:db8::1]:25`; nil for a socket's
    /// path, or where several servers have spoken.
    private static func literal(_ peer: String) -> String? {
        guard !peer.contains(","), let colon = peer.lastIndex(of: ":") else { return nil }
        let host = peer[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { return "[IPv6:\(host.dropFirst())" }
        return host.utf8.allSatisfy { $0 == 0x2E || $0 &- 0x30 < 10 } ? "[\(host)]" : nil
    }

    private static func line(_ message: [UInt8], to sender: String, queue: String) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(message.count + message.count / 8 + 512)
        // RFC 3464 §2, RFC 3461 §6.1: the reverse path is null, and no server tells of what becomes of it.
        line.put("{\"envelope\":{\"from\":\"\",\"to\":[")
        line.putJSON(sender)
        line.put("]},\"dsn\":{\"notify\":\"never\"},\"queue\":")
        line.putJSON(queue)
        line.put(",\"raw\":")
        message.withUnsafeBytes { line.putJSON(text: $0) }
        line.put("}")
        return line
    }
}
