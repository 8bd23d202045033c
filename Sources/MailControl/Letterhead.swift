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
    var traceparent: String?
    var history: [HistoryRecord]

    /// - Parameter schema: nil where the job's kind is not of this daemon.
    init(_ record: JobRecord, _ schema: (any JobSchema)?) {
        history = HistoryRecord.parse(record.history)
        if record.body.isEmpty { readHistory() } else { readLine(record.body, schema) }
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

    private mutating func readLine(_ line: [UInt8], _ schema: (any JobSchema)?) {
        guard let json = try? JSONValue(parsing: line) else { return }
        let heading = schema?.heading(json) ?? JobHeading()
        sender = heading.sender
        recipients = heading.recipients
        subject = heading.subject
        ref = json["ref"]?.string
        tags = json["tags"]?.array?.compactMap(\.string) ?? []
        traceparent = json["traceparent"]?.string
    }

    private mutating func readHistory() {
        sender = attempts.last?.sender
        ref = attempts.last?.ref
        traceparent = attempts.last?.traceparent
        var seen: Set<String> = []
        for fate in attempts.flatMap(\.fates) where seen.insert(fate.recipient).inserted {
            recipients.append(fate.recipient)
        }
    }
}
