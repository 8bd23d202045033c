// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// One mail on its way through MAIL, RCPT, and DATA or BDAT. Writes its commands, takes their replies in order.
struct Transaction {
    /// `Transaction.stage`, of one that is there.
    struct Place { let stage: SMTPStage? }

    /// What a reply led to.
    enum Progress: Equatable {
        case goesOn
        /// The message may be sent, or its next chunk, by `writeBody`.
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
    /// Asked in place, as `Dialogue.standing` is.
    mutating func place() -> Place { Place(stage: stage) }
    private(set) var isAnswered = false
    /// Asked in place as well.
    mutating func ending() -> (delivery: Delivery, verdicts: [Verdict]) { (delivery, verdicts) }
    private let terms: SessionTerms
    private var body: MessageBody
    /// Recipients whose verdict differs from the mail's.
    private var decided: [(recipient: Int, verdict: Verdict)]
    /// Of these, how many come first and were never sent to the server.
    private let unsendable: Int
    private var recipient = 0
    private var acceptedCount = 0
    /// By LMTP who was accepted, in their order, and how many of them have their last reply.
    private var accepted: [Int] = []
    private var deliveredCount = 0
    private var mailIsAccepted = false
    /// What MAIL's, DATA's or a chunk's refusal means for whoever has no verdict yet.
    private var failure: Verdict?
    private var chunkReplies = 0
    private var hasFailedChunk = false

    init(_ delivery: Delivery, number: Int, terms: SessionTerms, refused: [(recipient: Int, verdict: Verdict)]) {
        self.delivery = delivery
        self.number = number
        self.terms = terms
        body = MessageBody(delivery.mail.message, terms)
        decided = refused
        unsendable = refused.count
    }

    private var mail: Mail { delivery.mail }
    private var envelope: Envelope { Envelope(delivery: delivery, capabilities: terms.capabilities) }
    private var pipelining: Bool { terms.capabilities.pipelining }
    /// Chunks that have no reply yet.
    private var owedChunks: Int { body.chunkCount - chunkReplies }

    /// The next mail's envelope may go right behind: whatever the server says, it will take that for one.
    var mayBeFollowed: Bool { stage == .end && owedChunks <= 1 && !hasFailedChunk }

    // MARK: Commands

    /// With PIPELINING the whole envelope, and DATA where that is used, which RFC 2920 §3.1 wants last in a group; MAIL
    /// alone without. BDAT waits until somebody was accepted: a server that refuses it and does not swallow its octets,
    /// as RFC 3030 §2 demands, would take the message for commands.
    mutating func writeEnvelope(to output: inout ByteBuffer) {
        let envelope = self.envelope
        envelope.writeMail(to: &output)
        stage = .mail
        recipient = nextRecipient(from: 0)
        guard pipelining else { return }
        var index = recipient
        while index < mail.recipients.count {
            envelope.writeRecipient(index, to: &output)
            index = nextRecipient(from: index + 1)
        }
        if body.form == .data { output.writeStaticString("DATA\r\n") }
    }

    /// The first recipient from `index` on that the server is told of.
    private func nextRecipient(from index: Int) -> Int {
        guard unsendable > 0 else { return index }
        var index = index
        while decided.prefix(unsendable).contains(where: { $0.recipient == index }) { index += 1 }
        return index
    }

    /// Appends the next block of the message, `bytesMax` octets of it at most. `stage` is `.end` after the last.
    mutating func writeBody(bytesMax: Int, to output: inout ByteBuffer) {
        body.write(bytesMax: bytesMax, to: &output)
        if body.isComplete {
            stage = .end
        } else if body.form == .chunks, !body.isWithinChunk, !mayPipelineChunks || failure != nil {
            stage = .chunk
        }
    }

    /// RFC 3030 §4.2. By LMTP each is awaited, because it has not one reply at the end but many, and RFC 2033 does not
    /// say how many there are once a chunk has failed.
    private var mayPipelineChunks: Bool { pipelining && terms.mailProtocol == .smtp }

    // MARK: Replies

    mutating func received(_ reply: ServerReply, output: inout ByteBuffer) -> Progress {
        isAnswered = true
        switch stage {
        case .mail: return mailReplied(reply, output: &output)
        case .recipient: return recipientReplied(reply, output: &output)
        case .data: return dataReplied(reply, output: &output)
        case .body where body.form == .data: return bodyInterrupted(reply)
        case .body, .chunk: return chunkReplied(reply)
        case .end where owedChunks > 1: return chunkReplied(reply)
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
        envelope.writeRecipient(recipient, to: &output)
        return .goesOn
    }

    /// RFC 5321 §3.3: each recipient has a reply of its own.
    private mutating func recipientReplied(_ reply: ServerReply, output: inout ByteBuffer) -> Progress {
        guard !reply.isIntermediate else { return .broken }
        if reply.isPositive {
            acceptedCount += 1
            if terms.mailProtocol == .lmtp { accepted.append(recipient) }
        } else if failure == nil {
            decided.append((recipient, recipientVerdict(reply)))
        }
        recipient = nextRecipient(from: recipient + 1)
        guard recipient >= mail.recipients.count else {
            if !pipelining { envelope.writeRecipient(recipient, to: &output) }
            return .goesOn
        }
        return recipientsReplied(output: &output)
    }

    private mutating func recipientsReplied(output: inout ByteBuffer) -> Progress {
        stage = .data
        let isWanted = acceptedCount > 0 && failure == nil
        switch body.form {
        case .data:
            if pipelining { return .goesOn }
            guard isWanted else { return .finished(reset: true) }
            output.writeStaticString("DATA\r\n")
            return .goesOn
        case .chunks:
            guard isWanted else { return .finished(reset: mailIsAccepted) }
            stage = .body
            return .bodyIsDue
        }
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
        if failure == nil { failure = .deferred(Reply(451, "4.5.0", "no recipient was accepted")) }
        // RFC 2033 §4.2: by LMTP DATA must fail here, for no reply would come to the end of data.
        guard terms.mailProtocol == .smtp else { return .broken }
        // RFC 2920 §3.1: a server may say 354 though it took no recipient; it gets its end of data, and nothing else.
        output.writeStaticString(".\r\n")
        stage = .end
        return .goesOn
    }

    /// The server does not wait for the end of data. What it says decides; the connection cannot be used on.
    private mutating func bodyInterrupted(_ reply: ServerReply) -> Progress {
        if reply.isNegative { failure = Self.verdict(reply) }
        return .broken
    }

    /// RFC 3030 §2: each chunk has a reply, and none is sent after one that failed.
    private mutating func chunkReplied(_ reply: ServerReply) -> Progress {
        guard !reply.isIntermediate, owedChunks > 0 else { return .broken }
        chunkReplies += 1
        if reply.isNegative {
            hasFailedChunk = true
            if failure == nil { failure = Self.verdict(reply) }
        }
        if stage == .end { return .goesOn }
        guard hasFailedChunk else {
            guard stage == .chunk else { return .goesOn }
            stage = .body
            return .bodyIsDue
        }
        // The octets that were announced must come, whatever the server has said.
        if body.isWithinChunk { return .goesOn }
        stage = .chunk
        return owedChunks > 0 ? .goesOn : .finished(reset: true)
    }

    private mutating func endReplied(_ reply: ServerReply) -> Progress {
        guard !reply.isIntermediate else { return .broken }
        chunkReplies = body.chunkCount
        if terms.mailProtocol == .lmtp { return recipientDelivered(reply) }
        if failure == nil { failure = Self.verdict(reply) }
        // RFC 3030 §2: what state the server is in after a chunk that failed and more behind it, only RSET tells.
        return .finished(reset: hasFailedChunk)
    }

    /// RFC 2033 §4.2, §4.3: a reply for each recipient that was accepted, in the order of their RCPTs.
    private mutating func recipientDelivered(_ reply: ServerReply) -> Progress {
        decided.append((accepted[deliveredCount], Self.verdict(reply)))
        deliveredCount += 1
        return deliveredCount < accepted.count ? .goesOn : .finished(reset: false)
    }
}

// MARK: - Verdicts

extension Transaction {
    /// One for each recipient.
    var verdicts: [Verdict] { verdicts(undecided: .deferred(Reply(451, "4.5.0", "no verdict"))) }

    /// The same where the connection ended with `cause` as the reason. RFC 5321 §4.5.3.2.6: once the end of data was
    /// sent, only its reply tells whether the message was taken.
    func verdicts(lost cause: Reply, isRefusal: Bool) -> [Verdict] {
        verdicts(undecided: stage == .end && !isRefusal ? .unknown(cause) : .deferred(cause))
    }

    private func verdicts(undecided: Verdict) -> [Verdict] {
        let usual = failure ?? undecided
        if delivery.mail.recipients.count == 1, decided.isEmpty { return [usual] }
        var verdicts = Array(repeating: usual, count: mail.recipients.count)
        for (recipient, verdict) in decided { verdicts[recipient] = verdict }
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
