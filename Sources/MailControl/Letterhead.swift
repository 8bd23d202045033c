// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailWire

/// What people want to see of a job: from its line while that is kept, from its history after that.
struct Letterhead {
    var sender: String?
    var recipients: [String] = []
    var subject: String?
    var ref: String?
    var tags: [String] = []
    var history: [HistoryRecord]

    init(_ record: JobRecord) {
        history = HistoryRecord.parse(record.history)
        if record.body.isEmpty { readHistory() } else { record.body.withUnsafeBytes { readLine($0) } }
    }

    var attempts: [AttemptRecord] { history.compactMap(\.attempt) }

    /// `451 4.7.1 Come back later`: the reply that explains how the job stands.
    var lastReply: String? {
        guard let fates = history.last(where: { $0.attempt != nil })?.attempt?.fates,
            let last = fates.last(where: { $0.verdict != "delivered" }) ?? fates.last
        else { return nil }
        let parts = [String(last.reply.code), last.reply.enhanced, last.reply.text]
        return parts.filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// A line may be long, and most of it is text and attachments: these are passed over, not decoded.
    private mutating func readLine(_ line: UnsafeRawBufferPointer) {
        var scanner = JSONScanner()
        var members: [JSONMember] = []
        guard (try? scanner.members(of: line, into: &members)) != nil else { return }
        var named: [String] = []
        var from: String?
        for member in members {
            if member.hasKey("from", in: line) {
                from = member.string(in: line)
            } else if member.hasKey("envelope", in: line) {
                readEnvelope(member, line)
            } else if ["to", "cc", "bcc"].contains(where: { member.keyText.equals($0.utf8, in: line) }) {
                named += Self.strings(member, line)
            } else if member.hasKey("subject", in: line) {
                subject = member.string(in: line)
            } else if member.hasKey("ref", in: line) {
                ref = member.string(in: line)
            } else if member.hasKey("tags", in: line) {
                tags = Self.strings(member, line)
            }
        }
        sender = sender ?? from
        if recipients.isEmpty { recipients = named }
    }

    private mutating func readEnvelope(_ envelope: JSONMember, _ line: UnsafeRawBufferPointer) {
        for member in envelope.elements(in: line) {
            if member.hasKey("from", in: line) { sender = member.string(in: line) }
            if member.hasKey("to", in: line) { recipients = Self.strings(member, line) }
        }
    }

    /// One string is a list of one.
    private static func strings(_ member: JSONMember, _ line: UnsafeRawBufferPointer) -> [String] {
        if let one = member.string(in: line) { return [one] }
        return member.elements(in: line).compactMap { $0.string(in: line) }
    }

    private mutating func readHistory() {
        sender = attempts.last?.sender
        ref = attempts.last?.ref
        var seen: Set<String> = []
        for fate in attempts.flatMap(\.fates) where seen.insert(fate.recipient).inserted {
            recipients.append(fate.recipient)
        }
    }
}
