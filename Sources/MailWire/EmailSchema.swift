// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The kind `email`: docs/protocol.md § Fields of an e-mail.
///
/// What it lets pass can be composed and sent. It decodes next to nothing: the common job has plain ASCII addresses,
/// and a text needs no judgement beyond that of the scanner.
package struct EmailSchema: JobSchema {
    package static let type = "email"
    package var type: String { Self.type }

    package init() {}

    package func check(
        _ line: UnsafeRawBufferPointer, _ members: [JSONMember], limits: JobLimits
    ) throws(WireError) -> Int {
        var check = EmailCheck(line: line, recipientsMax: limits.recipientsMax)
        for member in members { try check.take(member) }
        let recipients = try check.recipients()
        if let rule = limits.senders { try EmailSenders(rule: rule, line: line).check(members) }
        return recipients
    }

    package func descriptors(
        _ line: UnsafeRawBufferPointer, _ members: [JSONMember]
    ) throws(WireError) -> [DescriptorPlace] {
        guard let member = members.first(where: { EmailField($0, in: line) == .attachments }) else { return [] }
        return try EmailAttachments.descriptors(member, in: line)
    }

    package func heading(_ job: JSONValue) -> JobHeading {
        let envelope = job["envelope"]
        var heading = JobHeading()
        heading.sender = envelope?["from"]?.string ?? job["from"]?.string
        heading.recipients = Self.addresses(envelope?["to"])
        if heading.recipients.isEmpty {
            heading.recipients = ["to", "cc", "bcc"].flatMap { Self.addresses(job[$0]) }
        }
        heading.subject = job["subject"]?.string
        return heading
    }

    private static func addresses(_ value: JSONValue?) -> [String] {
        if let one = value?.string { return [one] }
        return value?.array?.compactMap(\.string) ?? []
    }
}

/// One e-mail under judgement: what of it has been seen.
private struct EmailCheck {
    let line: UnsafeRawBufferPointer
    let recipientsMax: Int
    private var seen = EmailFieldSet()
    /// In `to`, `cc` and `bcc`.
    private var addressed = 0
    private var envelope = EmailEnvelope()
    private var wantsBounce = false

    init(line: UnsafeRawBufferPointer, recipientsMax: Int) {
        self.line = line
        self.recipientsMax = recipientsMax
    }

    mutating func take(_ member: JSONMember) throws(WireError) {
        guard let field = EmailField(member, in: line) else {
            let name = WireError.shown(member.key, in: line)
            throw .invalid(name, "unknown field", in: line)
        }
        seen.insert(field)
        switch field {
        case .from:
            try EmailAddresses.checkOne(member, field.text, in: line)
        case .to, .cc, .bcc:
            addressed += try EmailAddresses.check(member, field.text, atMost: recipientsMax, in: line)
        case .replyTo:
            _ = try EmailAddresses.check(member, field.text, atMost: recipientsMax, in: line)
        case .subject:
            try EmailHeaders.checkText(member, field.text, in: line)
        case .content, .html:
            guard member.kind == .string else { throw .mustBe("a string", field.text, member, in: line) }
        case .headers:
            try EmailHeaders.check(member, in: line)
        case .attachments:
            try EmailAttachments.check(member, in: line)
        case .raw:
            try EmailHeaders.checkRaw(member, in: line)
        case .envelope:
            envelope = try EmailEnvelope(member, atMost: recipientsMax, in: line)
        case .dsn:
            _ = try EmailDSN.read(member, in: line)
        case .bounce:
            guard member.kind == .true || member.kind == .false else {
                throw .mustBe("true or false", field.text, member, in: line)
            }
            wantsBounce = member.kind == .true
        }
    }

    /// The rules that take more than one field to judge; returns the number of recipients.
    func recipients() throws(WireError) -> Int {
        if seen.contains(.raw) {
            try checkRaw()
        } else if !seen.contains(.from) {
            throw .invalid("from", "missing", in: line)
        }
        if wantsBounce, envelope.hasNullSender {
            throw .invalid("bounce", "there is nobody to tell: envelope.from is the null sender", in: line)
        }
        let count = envelope.recipients ?? addressed
        if count == 0 {
            let field = envelope.recipients == nil ? "to" : "envelope.to"
            throw .invalid(field, "at least one recipient is needed", in: line)
        }
        if max(count, addressed) > recipientsMax {
            throw .invalid("to", "\(max(count, addressed)) recipients, but \(recipientsMax) at most", in: line)
        }
        return count
    }

    private func checkRaw() throws(WireError) {
        for field in EmailField.allCases where seen.contains(field) {
            if [.raw, .from, .envelope, .dsn, .bounce].contains(field) { continue }
            throw .invalid(field.text, "excluded by raw", in: line)
        }
        if !seen.contains(.envelope) { throw .invalid("envelope", "missing, raw needs it", in: line) }
        if envelope.recipients == nil { throw .invalid("envelope.to", "missing, raw needs it", in: line) }
        if !envelope.hasSender, !seen.contains(.from) { throw .invalid("envelope.from", "missing", in: line) }
    }
}

extension WireError {
    /// `subject: must be a string, not 5`
    package static func mustBe(
        _ what: String, _ field: String, _ member: JSONMember, in line: UnsafeRawBufferPointer
    ) -> WireError {
        .invalid(field, "must be \(what)", not: member.value, in: line)
    }
}
