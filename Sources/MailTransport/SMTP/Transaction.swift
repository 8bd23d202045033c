// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// One mail on its way through MAIL, RCPT, DATA and body. Writes its commands, takes their replies in order.
struct Transaction {
    /// What a reply led to.
    enum Progress: Equatable {
        case goesOn
        /// 354: the message may be sent, by `writeBody`.
        case bodyIsDue
        /// All verdicts are known. `reset`: the server still has an open transaction.
        case finished(reset: Bool)
        /// The reply has no meaning here, so nothing that follows on this connection would have.
        case broken
    }

    let delivery: Delivery
    /// The how-many-eth of its connection, from 1.
    let number: Int
    /// The reply that comes next; nil while nothing was sent.
    private(set) var stage: SMTPStage?
    private(set) var isAnswered = false
    private let pipelining: Bool
    /// Recipients whose verdict differs from the mail's.
    private var refused: [(recipient: Int, verdict: Verdict)]
    /// Of these, how many come first and were never sent to the server.
    private let unsendable: Int
    private var recipient = 0
    private var acceptedCount = 0
    private var mailIsAccepted = false
    /// What MAIL's or DATA's refusal means for whoever has no verdict yet.
    private var failure: Verdict?
    private var bodyOffset = 0

    init(_ delivery: Delivery, number: Int, pipelining: Bool, refused: [(recipient: Int, verdict: Verdict)]) {
        self.delivery = delivery
        self.number = number
        self.pipelining = pipelining
        self.refused = refused
        unsendable = refused.count
    }

    private var mail: Mail { delivery.mail }

    // MARK: Commands

    /// With PIPELINING the whole envelope and DATA, which RFC 2920 §3.1 wants last in a group; MAIL alone without.
    mutating func writeEnvelope(_ capabilities: Capabilities, to output: inout ByteBuffer) {
        writeMail(capabilities, to: &output)
        stage = .mail
        recipient = nextRecipient(from: 0)
        guard pipelining else { return }
        var index = recipient
        while index < mail.recipients.count {
            writeRecipient(index, to: &output)
            index = nextRecipient(from: index + 1)
        }
        output.writeStaticString("DATA\r\n")
    }

    private func writeMail(_ capabilities: Capabilities, to output: inout ByteBuffer) {
        output.writeStaticString("MAIL FROM:<")
        output.writeString(mail.sender)
        output.writeStaticString(">")
        if capabilities.size {
            // RFC 1870 §5: line ends count, the doubled dots and the last dot do not.
            output.writeStaticString(" SIZE=")
            output.writeString(String(mail.message.readableBytes))
        }
        if mail.needs8BitMIME { output.writeStaticString(" BODY=8BITMIME") }
        if capabilities.smtpUTF8 && isInternational { output.writeStaticString(" SMTPUTF8") }
        output.writeStaticString("\r\n")
    }

    /// RFC 6531 §3.4: asked for only where an address or the header needs it.
    private var isInternational: Bool {
        mail.needsSMTPUTF8 || AddressForm(mail.sender) == .international
            || mail.recipients.contains { AddressForm($0) == .international }
    }

    private func writeRecipient(_ index: Int, to output: inout ByteBuffer) {
        output.writeStaticString("RCPT TO:<")
        output.writeString(mail.recipients[index])
        output.writeStaticString(">\r\n")
    }

    /// The first recipient from `index` on that the server is told of.
    private func nextRecipient(from index: Int) -> Int {
        guard unsendable > 0 else { return index }
        var index = index
        while refused.prefix(unsendable).contains(where: { $0.recipient == index }) { index += 1 }
        return index
    }

    /// Appends the next block of the body, `bytesMax` octets of the message at most. `stage` is `.end` after the last.
    mutating func writeBody(bytesMax: Int, to output: inout ByteBuffer) {
        let end = min(mail.message.readableBytes, bodyOffset + bytesMax)
        DotStuffing.append(bodyOffset..<end, of: mail.message, to: &output)
        bodyOffset = end
        guard end == mail.message.readableBytes else { return }
        DotStuffing.finish(mail.message, to: &output)
        stage = .end
    }

    // MARK: Replies

    mutating func received(_ reply: ServerReply, output: inout ByteBuffer) -> Progress {
        isAnswered = true
        switch stage {
        case .mail: return mailReplied(reply, output: &output)
        case .recipient: return recipientReplied(reply, output: &output)
        case .data: return dataReplied(reply, output: &output)
        case .body: return bodyInterrupted(reply)
        case .end: return endReplied(reply)
        default: return .broken
        }
    }

    private mutating func mailReplied(_ reply: ServerReply, output: inout ByteBuffer) -> Progress {
        guard !reply.isIntermediate else { return .broken }
        mailIsAccepted = reply.isPositive
        if reply.isNegative { failure = Self.verdict(reply) }
        stage = .recipient
        if pipelining { return .goesOn }
        guard mailIsAccepted else { return .finished(reset: false) }
        writeRecipient(recipient, to: &output)
        return .goesOn
    }

    /// RFC 5321 §3.3: each recipient has a reply of its own.
    private mutating func recipientReplied(_ reply: ServerReply, output: inout ByteBuffer) -> Progress {
        guard !reply.isIntermediate else { return .broken }
        if reply.isPositive {
            acceptedCount += 1
        } else if failure == nil {
            refused.append((recipient, recipientVerdict(reply)))
        }
        recipient = nextRecipient(from: recipient + 1)
        let isLast = recipient >= mail.recipients.count
        if isLast { stage = .data }
        if pipelining { return .goesOn }
        if !isLast {
            writeRecipient(recipient, to: &output)
        } else if acceptedCount > 0 {
            output.writeStaticString("DATA\r\n")
        } else {
            return .finished(reset: true)
        }
        return .goesOn
    }

    private mutating func dataReplied(_ reply: ServerReply, output: inout ByteBuffer) -> Progress {
        if reply.isNegative {
            if failure == nil { failure = Self.verdict(reply) }
            return .finished(reset: mailIsAccepted)
        }
        guard reply.isIntermediate else { return .broken }
        if acceptedCount > 0 && failure == nil {
            stage = .body
            return .bodyIsDue
        }
        // RFC 2920 §3.1: a server may say 354 though it took no recipient; it gets its end of data, and nothing else.
        if failure == nil { failure = .deferred(Reply(451, "4.5.0", "no recipient was accepted")) }
        output.writeStaticString(".\r\n")
        stage = .end
        return .goesOn
    }

    /// The server does not wait for the end of data. What it says decides; the connection cannot be used on.
    private mutating func bodyInterrupted(_ reply: ServerReply) -> Progress {
        if reply.isNegative { failure = Self.verdict(reply) }
        return .broken
    }

    private mutating func endReplied(_ reply: ServerReply) -> Progress {
        guard !reply.isIntermediate else { return .broken }
        if failure == nil { failure = Self.verdict(reply) }
        return .finished(reset: false)
    }

    // MARK: Verdicts

    /// One for each recipient.
    var verdicts: [Verdict] { verdicts(undecided: .deferred(Reply(451, "4.5.0", "no verdict"))) }

    /// The same where the connection ended with `cause` as the reason. RFC 5321 §4.5.3.2.6: once the end of data was
    /// sent, only its reply tells whether the message was taken.
    func verdicts(lost cause: Reply, isRefusal: Bool) -> [Verdict] {
        verdicts(undecided: stage == .end && !isRefusal ? .unknown(cause) : .deferred(cause))
    }

    private func verdicts(undecided: Verdict) -> [Verdict] {
        var verdicts = Array(repeating: failure ?? undecided, count: mail.recipients.count)
        for (recipient, verdict) in refused { verdicts[recipient] = verdict }
        return verdicts
    }

    private func recipientVerdict(_ reply: ServerReply) -> Verdict {
        let verdict = Self.verdict(reply)
        // RFC 5321 §4.5.3.1.10: 552 once meant "too many recipients", which is no reason to give up those left over.
        guard reply.code == 552, acceptedCount > 0 else { return verdict }
        let words = verdict.reply
        return words.enhanced.isEmpty || words.enhanced == "5.5.3" ? .deferred(words) : verdict
    }

    private static func verdict(_ reply: ServerReply) -> Verdict {
        switch reply.code {
        case ..<300: .delivered(reply.reply)
        case ..<500: .deferred(reply.reply)
        default: .rejected(reply.reply)
        }
    }
}
