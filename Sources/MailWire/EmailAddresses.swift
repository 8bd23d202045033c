// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Judges fields that hold addresses.
enum EmailAddresses {
    /// With its name; more is no address, and would take its time to be taken apart.
    static let mailboxBytesMax = Limits.mailLineBytesMax

    @inline(__always)
    static func checkOne(
        _ member: JSONMember, _ field: String, in line: UnsafeRawBufferPointer
    ) throws(WireError) {
        guard let text = member.text else { throw .mustBe("an address", field, member, in: line) }
        if !text.escaped, text.ascii {
            let bytes = UnsafeRawBufferPointer(rebasing: line[text.range])
            if Mailbox.isPlainAddress(bytes) || (bytes.count <= mailboxBytesMax && isPlainMailbox(bytes)) { return }
        }
        if text.range.count > mailboxBytesMax {
            throw .invalid(field, "longer than \(mailboxBytesMax) bytes", in: line)
        }
        try parse(text, field, in: line)
    }

    /// Whether `bytes` are certainly words and a plain address in angle brackets: `Ann Example <ann@example.com>`.
    /// False only means that Mailbox must decide, which takes ten times as long.
    static func isPlainMailbox(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var place = 0
        while place < bytes.count, bytes[place] == 0x20 || ASCII.isAtomText(bytes[place]) { place += 1 }
        // RFC 5322 §3.4: a blank between the name and the bracket is usual, not required; we ask for it.
        guard place >= 2, place < bytes.count, bytes[0] != 0x20, bytes[place - 1] == 0x20,
            bytes[place] == UInt8(ascii: "<"), bytes[bytes.count - 1] == UInt8(ascii: ">")
        else { return false }
        return Mailbox.isPlainAddress(UnsafeRawBufferPointer(rebasing: bytes[(place + 1)..<(bytes.count - 1)]))
    }

    private static func parse(
        _ text: JSONText, _ field: String, in line: UnsafeRawBufferPointer
    ) throws(WireError) {
        do {
            _ = try Mailbox(parsing: text.string(from: line))
        } catch {
            throw .invalid(field, error.reason, in: line)
        }
    }

    /// One address or a list of them; returns how many.
    @inline(__always)
    static func check(
        _ member: JSONMember, _ field: String, atMost max: Int, in line: UnsafeRawBufferPointer
    ) throws(WireError) -> Int {
        if member.kind == .array { return try checkList(member, field, atMost: max, in: line) }
        guard member.kind == .string else {
            throw .mustBe("an address or a list of addresses", field, member, in: line)
        }
        try checkOne(member, field, in: line)
        return 1
    }

    static func checkList(
        _ member: JSONMember, _ field: String, atMost max: Int, in line: UnsafeRawBufferPointer
    ) throws(WireError) -> Int {
        var count = 0
        for element in member.elements(in: line) {
            count += 1
            if count > max { throw .invalid(field, "more than \(max) addresses", in: line) }
            try checkOne(element, field, in: line)
        }
        return count
    }
}

/// The field `envelope`.
struct EmailEnvelope {
    private(set) var hasSender = false
    /// RFC 5321 §4.5.5: nobody is told what becomes of it.
    private(set) var hasNullSender = false
    /// nil where it has no `to`.
    private(set) var recipients: Int?

    init() {}

    init(_ member: JSONMember, atMost max: Int, in line: UnsafeRawBufferPointer) throws(WireError) {
        guard member.kind == .object else { throw .mustBe("an object", "envelope", member, in: line) }
        for element in member.elements(in: line) {
            if element.hasKey("from", in: line) {
                try Self.checkSender(element, in: line)
                hasSender = true
                hasNullSender = element.text?.range.isEmpty == true
            } else if element.hasKey("to", in: line) {
                guard element.kind == .array else {
                    throw .mustBe("a list of addresses", "envelope.to", element, in: line)
                }
                recipients = try EmailAddresses.checkList(element, "envelope.to", atMost: max, in: line)
            } else {
                throw .invalid("envelope.\(WireError.shown(element.key, in: line))", "unknown field", in: line)
            }
        }
    }

    /// RFC 5321 §4.5.5: the null sender is a path without an address.
    private static func checkSender(_ member: JSONMember, in line: UnsafeRawBufferPointer) throws(WireError) {
        if member.text?.range.isEmpty == true { return }
        try EmailAddresses.checkOne(member, "envelope.from", in: line)
    }
}
