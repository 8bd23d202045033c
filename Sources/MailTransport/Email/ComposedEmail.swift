// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import MailWire
import NIOCore

/// What an e-mail job becomes on the way out: the message, and who it goes to.
struct ComposedEmail: Sendable {
    let envelope: EmailEnvelope
    var message: ComposedMessage

    /// - Parameters:
    ///   - line: the submitted line.
    ///   - hostname: right-hand side of the Message-ID.
    ///   - trace: stands in the header, for whoever reads the message.
    init(_ line: ByteBuffer, job: JobID, hostname: String, trace: TraceContext? = nil) throws(ComposeError) {
        var fields = EmailFields()
        if let fault = fields.read(line) { throw ComposeError(field: fault.field ?? "", reason: fault.message) }
        let messageID = Self.messageID(job, hostname)
        envelope = try EmailEnvelope(fields, job: job)
        if let raw = fields.raw {
            message = try MessageComposer.pass(raw: raw, date: job.time, messageID: messageID)
        } else {
            message = try MessageComposer.compose(MessageFields(fields, date: job.time, messageID: messageID))
        }
        if let trace { message.prepend(trace) }
    }

    /// RFC 5322 §3.6.4: unique, and the same at every attempt for as long as the hostname is not changed.
    private static func messageID(_ job: JobID, _ hostname: String) -> String {
        var octets: [UInt8] = []
        octets.reserveCapacity(JobID.textLength + hostname.utf8.count + 3)
        octets.append(UInt8(ascii: "<"))
        for index in 0..<JobID.textLength { octets.append(job.digit(index)) }
        octets.append(UInt8(ascii: "@"))
        octets.append(contentsOf: hostname.utf8)
        octets.append(UInt8(ascii: ">"))
        return String(decoding: octets, as: UTF8.self)
    }
}

/// All of a composed e-mail but the message. A class, because it is handed on from one to the next while it is sent,
/// and a copy of a value would count the references of each of its strings.
final class EmailEnvelope: Sendable {
    let job: JobID
    let sender: String
    /// All recipients, each once, in the order of the job: envelope, or To, Cc and Bcc.
    let recipients: [String]
    let dsn: DSNRequest?
    let bounce: Bool?
    let ref: String?
    let queue: String
    let tags: [String]

    init(_ fields: EmailFields, job: JobID) throws(ComposeError) {
        self.job = job
        sender = try Self.address(fields.envelopeFrom ?? fields.from)
        recipients = try Self.recipients(fields)
        ref = fields.ref
        queue = fields.queue
        tags = fields.tags
        dsn = fields.dsn
        bounce = fields.bounce
    }

    private static func recipients(_ fields: EmailFields) throws(ComposeError) -> [String] {
        let named = fields.envelopeTo ?? fields.to + fields.cc + fields.bcc
        if named.count == 1 { return [try address(named[0])] }
        var seen: Set<String> = []
        var recipients: [String] = []
        for name in named {
            let address = try address(name)
            if seen.insert(address).inserted { recipients.append(address) }
        }
        return recipients
    }

    /// The address alone: `Ann <ann@example.com>` goes into the envelope as `ann@example.com` (RFC 5321 §4.1.2).
    private static func address(_ text: String) throws(ComposeError) -> String {
        if text.isEmpty { return "" }
        var copy = text
        if copy.withUTF8({ Mailbox.isPlainAddress(UnsafeRawBufferPointer($0)) }) { return text }
        do throws(MailboxError) {
            return try Mailbox(parsing: text).address
        } catch {
            throw ComposeError(field: "envelope", reason: error.reason)
        }
    }
}

extension EmailFields {
    /// Of a line in a buffer; returns what is wrong with it.
    mutating func read(_ line: ByteBuffer) -> WireError? {
        line.withUnsafeReadableBytes { bytes in
            do throws(WireError) {
                try read(bytes)
                return nil
            } catch {
                return error
            }
        }
    }
}

extension MessageFields {
    init(_ fields: EmailFields, date: WallTime, messageID: String) {
        self.init(
            from: fields.from, to: fields.to, cc: fields.cc, replyTo: fields.replyTo, subject: fields.subject,
            text: fields.content, html: fields.html, headers: fields.headers,
            attachments: fields.attachments.map {
                Attachment(name: $0.name, contentType: $0.contentType, data: $0.data, contentID: $0.cid)
            },
            date: date, messageID: messageID)
    }
}
