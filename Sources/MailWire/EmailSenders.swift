// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// From whom a user may send mail.
package struct SenderRule: Equatable, Sendable {
    /// The user's app, for the message.
    package var app: String
    package var senders: [SenderPattern]

    package init(app: String, senders: [SenderPattern]) {
        self.app = app
        self.senders = senders
    }

    func allows(_ mailbox: Mailbox) -> Bool { senders.contains { $0.matches(mailbox) } }

    func refusal(_ field: String, _ what: String) -> WireError {
        WireError(.permissionDenied, "\(field): \(what)", field: field)
    }
}

/// Holds an e-mail's senders to a rule: the envelope's, and whoever its reader is told it is from.
struct EmailSenders {
    let rule: SenderRule
    let line: UnsafeRawBufferPointer

    /// - Parameter members: of a line that EmailSchema has let pass otherwise.
    func check(_ members: [JSONMember]) throws(WireError) {
        for member in members {
            if member.hasKey("from", in: line) {
                try check(member.string(in: line) ?? "", "from")
            } else if member.hasKey("envelope", in: line) {
                for element in member.elements(in: line) where element.hasKey("from", in: line) {
                    // RFC 5321 §4.5.5: the null sender is nobody's address.
                    let sender = element.string(in: line) ?? ""
                    if !sender.isEmpty { try check(sender, "envelope.from") }
                }
            } else if member.hasKey("raw", in: line), let text = member.text {
                try checkRaw(RawHeader(text.decodedBytes(in: line)))
            }
        }
    }

    private func check(_ text: String, _ field: String) throws(WireError) {
        guard let mailbox = try? Mailbox(parsing: text) else {
            throw rule.refusal(field, "\(MailboxError(text, "is no address").reason)")
        }
        guard rule.allows(mailbox) else {
            let reason = MailboxError(mailbox.address, "is none of the senders of app \(rule.app)").reason
            throw rule.refusal(field, reason)
        }
    }

    /// What a reader shows as the author must be one address that can be read beyond doubt.
    private func checkRaw(_ header: RawHeader) throws(WireError) {
        guard header.isWhole else { throw rule.refusal("raw", "its header is over \(RawHeader.bytesMax) bytes") }
        let authors = header.values(of: "from")
        guard authors.count == 1 else { throw rule.refusal("raw", "must have one From field, not \(authors.count)") }
        for name in ["from", "sender", "resent-from", "resent-sender"] {
            for value in header.values(of: name) {
                guard (try? Mailbox(parsing: value)) != nil else {
                    throw rule.refusal("raw", "\(MailboxError(value, "is not one address").reason) (\(name))")
                }
                try check(value, "raw")
            }
        }
    }
}

/// The header of a finished message, as far as it takes to know who it is from.
struct RawHeader {
    /// Names in small letters, values on one line.
    private var fields: [(name: String, value: String)] = []
    /// False where it is longer than anybody's.
    private(set) var isWhole = true

    static let bytesMax = 256 << 10

    init(_ bytes: some Sequence<UInt8>) {
        var current: [UInt8] = []
        var count = 0
        var isLineStart = true
        var isAfterCR = false
        for byte in bytes {
            defer { isAfterCR = byte == 0x0D }
            count += 1
            guard count <= Self.bytesMax else {
                isWhole = false
                return
            }
            // LF, CRLF and a lone CR each end a line, as the composer takes them.
            if byte == 0x0A, isAfterCR { continue }
            if byte == 0x0A || byte == 0x0D {
                if isLineStart { break }
                isLineStart = true
                continue
            }
            // RFC 5322 §2.2.3: a line that begins with a blank belongs to the field before it.
            if isLineStart, byte != 0x20, byte != 0x09 { end(&current) }
            isLineStart = false
            current.append(byte)
        }
        end(&current)
    }

    private mutating func end(_ field: inout [UInt8]) {
        defer { field.removeAll(keepingCapacity: true) }
        guard let colon = field.firstIndex(of: UInt8(ascii: ":")) else { return }
        let name = String(decoding: field[..<colon], as: UTF8.self)
        let blanks: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        // RFC 5322 §4.5: blanks may stand before the colon.
        let bare = String(name.reversed().drop(while: blanks).reversed()).lowercased()
        // RFC 5322 §2.2.3: what a folded line begins with is a blank of the value, and none at its ends means anything.
        let value = String(decoding: field[(colon + 1)...].map { $0 == 0x09 ? 0x20 : $0 }, as: UTF8.self)
        fields.append((bare, String(value.drop(while: blanks).reversed().drop(while: blanks).reversed())))
    }

    func values(of name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }
}
