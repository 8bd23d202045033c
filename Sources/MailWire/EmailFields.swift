// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// One attachment, decoded.
package struct EmailAttachment: Equatable, Sendable {
    package var name: String
    package var contentType: String
    package var data: [UInt8]
    /// Shown inline where the HTML says `cid:…`.
    package var cid: String?

    package static let contentTypeDefault = "application/octet-stream"

    package init(name: String, contentType: String = contentTypeDefault, data: [UInt8], cid: String? = nil) {
        self.name = name
        self.contentType = contentType
        self.data = data
        self.cid = cid
    }
}

/// An e-mail's fields, decoded for delivery: strings that are searched or encoded as `String`, those that only go out
/// as UTF-8 bytes.
package struct EmailFields: Sendable {
    /// Empty where `raw` has its own.
    package var from = ""
    package var to: [String] = []
    package var cc: [String] = []
    package var bcc: [String] = []
    package var replyTo: [String] = []
    package var subject: String?
    package var content: [UInt8]?
    package var html: [UInt8]?
    /// In the order of the line.
    package var headers: [(name: String, value: String)] = []
    package var attachments: [EmailAttachment] = []
    package var raw: [UInt8]?
    /// Empty for the null sender.
    package var envelopeFrom: String?
    package var envelopeTo: [String]?
    package var dsn: DSNRequest?
    /// Whether the envelope's sender is told of a failure; nil: as the configuration says.
    package var bounce: Bool?
    /// The app's own name for the job.
    package var ref: String?
    package var queue = "default"
    package var tags: [String] = []

    package init() {}

    /// Decodes a line that EmailSchema has let pass. An error means that it has not: the spool's bytes were changed.
    package init(_ line: UnsafeRawBufferPointer) throws(WireError) { try read(line) }

    /// The same in place, where nothing was read before: a copy would count some thirty references.
    package mutating func read(_ line: UnsafeRawBufferPointer) throws(WireError) {
        var scanner = JSONScanner()
        var members: [JSONMember] = []
        do { try scanner.members(of: line, into: &members) } catch { throw WireError(error) }
        for member in members {
            if let field = EmailField(member, in: line) {
                try take(field, member, line)
            } else if member.hasKey("ref", in: line) {
                ref = try Self.string(member, "ref", line)
            } else if member.hasKey("queue", in: line) {
                queue = try Self.string(member, "queue", line)
            } else if member.hasKey("tags", in: line) {
                tags = try Self.strings(member, "tags", line)
            }
        }
    }

    private mutating func take(
        _ field: EmailField, _ member: JSONMember, _ line: UnsafeRawBufferPointer
    ) throws(WireError) {
        switch field {
        case .from: from = try Self.string(member, "from", line)
        case .to: to = try Self.strings(member, "to", line)
        case .cc: cc = try Self.strings(member, "cc", line)
        case .bcc: bcc = try Self.strings(member, "bcc", line)
        case .replyTo: replyTo = try Self.strings(member, "reply_to", line)
        case .subject: subject = try Self.string(member, "subject", line)
        case .content: content = try Self.bytes(member, "content", line)
        case .html: html = try Self.bytes(member, "html", line)
        case .raw: raw = try Self.bytes(member, "raw", line)
        case .headers:
            for element in member.elements(in: line) {
                headers.append((element.keyString(in: line), try Self.string(element, "headers", line)))
            }
        case .attachments:
            for element in member.elements(in: line) { attachments.append(try Self.attachment(element, line)) }
        case .envelope:
            for element in member.elements(in: line) {
                if element.hasKey("from", in: line) { envelopeFrom = try Self.string(element, "envelope.from", line) }
                if element.hasKey("to", in: line) { envelopeTo = try Self.strings(element, "envelope.to", line) }
            }
        case .dsn: dsn = try EmailDSN.read(member, in: line)
        case .bounce: bounce = member.kind == .true
        }
    }

    private static func string(
        _ member: JSONMember, _ field: String, _ line: UnsafeRawBufferPointer
    ) throws(WireError) -> String {
        guard let string = member.string(in: line) else { throw .mustBe("a string", field, member, in: line) }
        return string
    }

    private static func bytes(
        _ member: JSONMember, _ field: String, _ line: UnsafeRawBufferPointer
    ) throws(WireError) -> [UInt8] {
        guard let bytes = member.bytes(in: line) else { throw .mustBe("a string", field, member, in: line) }
        return bytes
    }

    /// One string is a list of one.
    private static func strings(
        _ member: JSONMember, _ field: String, _ line: UnsafeRawBufferPointer
    ) throws(WireError) -> [String] {
        guard member.kind == .array else { return [try string(member, field, line)] }
        var strings: [String] = []
        for element in member.elements(in: line) { strings.append(try string(element, field, line)) }
        return strings
    }

    private static func attachment(
        _ member: JSONMember, _ line: UnsafeRawBufferPointer
    ) throws(WireError) -> EmailAttachment {
        var attachment = EmailAttachment(name: "", data: [])
        for element in member.elements(in: line) {
            if element.hasKey("name", in: line) {
                attachment.name = try string(element, "attachments.name", line)
            } else if element.hasKey("content_type", in: line) {
                attachment.contentType = try string(element, "attachments.content_type", line)
            } else if element.hasKey("cid", in: line) {
                attachment.cid = try string(element, "attachments.cid", line)
            } else if element.hasKey("data", in: line) {
                attachment.data = try data(element, line)
            }
        }
        return attachment
    }

    private static func data(_ member: JSONMember, _ line: UnsafeRawBufferPointer) throws(WireError) -> [UInt8] {
        guard let text = member.text else { throw .mustBe("a string", "attachments.data", member, in: line) }
        let data =
            text.escaped
            ? text.decoded(from: line).withUnsafeBytes { Base64Text.decode($0) }
            : Base64Text.decode(UnsafeRawBufferPointer(rebasing: line[text.range]))
        guard let data else { throw .mustBe("base64", "attachments.data", member, in: line) }
        return data
    }
}
