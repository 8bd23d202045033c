// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The fields that an e-mail has beside those of every job.
enum EmailField: UInt8, CaseIterable {
    case from, to, cc, bcc, replyTo, subject, content, html, headers, attachments, raw, envelope, dsn, bounce

    var name: StaticString {
        switch self {
        case .from: "from"
        case .to: "to"
        case .cc: "cc"
        case .bcc: "bcc"
        case .replyTo: "reply_to"
        case .subject: "subject"
        case .content: "content"
        case .html: "html"
        case .headers: "headers"
        case .attachments: "attachments"
        case .raw: "raw"
        case .envelope: "envelope"
        case .dsn: "dsn"
        case .bounce: "bounce"
        }
    }

    var text: String { name.description }

    /// The length tells most of them apart.
    @inline(__always)
    init?(_ member: JSONMember, in line: UnsafeRawBufferPointer) {
        let candidates: (EmailField, EmailField, EmailField)
        switch member.keyEscaped ? 0 : member.key.count {
        case 2: candidates = (.to, .cc, .cc)
        case 3: candidates = (.bcc, .raw, .dsn)
        case 4: candidates = (.from, .html, .html)
        case 6: candidates = (.bounce, .bounce, .bounce)
        case 7: candidates = (.subject, .content, .headers)
        case 8: candidates = (.replyTo, .envelope, .envelope)
        case 11: candidates = (.attachments, .attachments, .attachments)
        case 0:
            guard let field = Self.allCases.first(where: { member.hasKey($0.name, in: line) }) else { return nil }
            self = field
            return
        default: return nil
        }
        if member.hasKey(candidates.0.name, in: line) {
            self = candidates.0
        } else if member.hasKey(candidates.1.name, in: line) {
            self = candidates.1
        } else if member.hasKey(candidates.2.name, in: line) {
            self = candidates.2
        } else {
            return nil
        }
    }
}

/// Which of the fields a line has.
struct EmailFieldSet {
    private var bits: UInt16 = 0

    mutating func insert(_ field: EmailField) { bits |= 1 << field.rawValue }
    func contains(_ field: EmailField) -> Bool { bits & (1 << field.rawValue) != 0 }
}
