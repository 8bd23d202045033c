// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Judges what goes into a message's header: no value may end its line, for what follows would be a field (or a body)
/// that nobody allowed.
enum EmailHeaders {
    /// `Name:` still leaves room for a blank and a letter in the 78 octets of a line.
    static let nameBytesMax = Limits.mailLineBytesWanted - 3
    /// Bytes without a blank: there a line can be broken, which must happen within 998 octets, the name included.
    static let wordBytesMax = 900

    /// RFC 3834 §5, RFC 8058 §3.1: Auto-Submitted and List-Unsubscribe are the app's to give; it knows what it sends.
    static let forbidden: [StaticString] = [
        "from", "to", "cc", "bcc", "reply-to", "subject", "sender", "mime-version", "received", "return-path",
        "dkim-signature", "resent-bcc",
    ]
    /// RFC 5322 §3.6: at most one of each.
    static let single: [StaticString] = ["date", "message-id", "in-reply-to", "references"]

    /// The field `headers`.
    static func check(_ member: JSONMember, in line: UnsafeRawBufferPointer) throws(WireError) {
        guard member.kind == .object else { throw .mustBe("an object of strings", "headers", member, in: line) }
        var count = 0
        var seen: UInt8 = 0
        for element in member.elements(in: line) {
            count += 1
            if count > Limits.headersMax {
                throw .invalid("headers", "more than \(Limits.headersMax) fields", in: line)
            }
            try checkName(element.keyText.decoded(from: line), &seen, in: line)
            try checkValue(element, in: line)
        }
    }

    private static func checkName(
        _ name: [UInt8], _ seen: inout UInt8, in line: UnsafeRawBufferPointer
    ) throws(WireError) {
        // RFC 5322 §2.2: printable ASCII but the colon.
        guard !name.isEmpty, name.count <= nameBytesMax, name.allSatisfy({ isFieldName($0) }) else {
            let text = MailboxError(String(decoding: name, as: UTF8.self), "is no name of a header field").reason
            throw .invalid("headers", "\(text) of at most \(nameBytesMax) characters", in: line)
        }
        let isContent = name.count >= 8 && isSame(name.prefix(8), "content-")
        if isContent || forbidden.contains(where: { isSame(name, $0) }) {
            throw .invalid(place(name), "not allowed in headers: maild or another field sets it", in: line)
        }
        guard let index = single.firstIndex(where: { isSame(name, $0) }) else { return }
        if seen & 1 << index != 0 { throw .invalid(place(name), "given twice", in: line) }
        seen |= 1 << index
    }

    private static func checkValue(_ member: JSONMember, in line: UnsafeRawBufferPointer) throws(WireError) {
        guard let text = member.text else {
            throw .mustBe("a string", place(member.keyText.decoded(from: line)), member, in: line)
        }
        let value = text.decoded(from: line)
        let name = member.keyText.decoded(from: line)
        try checkControls(value, { place(name) }, in: line)
        if value.count > wordBytesMax, hasLongWord(value) {
            throw .invalid(place(name), "over \(wordBytesMax) characters where no line can be broken", in: line)
        }
        if isSame(name, "message-id"), !isMessageID(value) {
            throw .mustBe("of the form <left@right>", place(name), member, in: line)
        }
        if isSame(name, "date"), !EmailDate(value).isValid {
            throw .mustBe("a date as \"Mon, 23 Nov 2026 13:00:00 +0100\"", place(name), member, in: line)
        }
    }

    /// What is beyond ASCII is encoded in short pieces; all else goes as it is, with the blanks before it.
    private static func hasLongWord(_ value: [UInt8]) -> Bool {
        var begin = 0
        while begin < value.count {
            let blanks = value[begin...].prefix { $0 == 0x20 || $0 == 0x09 }
            let word = value[blanks.endIndex...].prefix { $0 != 0x20 && $0 != 0x09 }
            let isEncoded = word.contains { $0 >= 0x80 }
            if blanks.count + (isEncoded ? 0 : word.count) > wordBytesMax { return true }
            begin = word.endIndex
        }
        return false
    }

    /// A string that stands in a header field, such as the subject.
    @inline(__always)
    static func checkText(
        _ member: JSONMember, _ field: String, in line: UnsafeRawBufferPointer
    ) throws(WireError) {
        guard let text = member.text else { throw .mustBe("a string", field, member, in: line) }
        if text.escaped {
            try checkControls(text.decoded(from: line), { field }, in: line)
        } else {
            // Unescaped, JSON has no control character but this one.
            for place in text.range where line[place] == 0x7F {
                try checkControls([0x7F], { field }, in: line)
            }
        }
    }

    /// RFC 5322 §2.2 and §3.2.5: no control character but the tab.
    private static func checkControls(
        _ text: [UInt8], _ field: () -> String, in line: UnsafeRawBufferPointer
    ) throws(WireError) {
        let control = text.first { ($0 < 0x20 && $0 != 0x09) || $0 == 0x7F }
        switch control {
        case nil: return
        case 0x0D, 0x0A: throw .invalid(field(), "has a line break", in: line)
        case 0: throw .invalid(field(), "has a NUL", in: line)
        default: throw .invalid(field(), "has a control character", in: line)
        }
    }

    /// The field `raw`: begins with a header field, for all else would become the body of a message without a header.
    static func checkRaw(_ member: JSONMember, in line: UnsafeRawBufferPointer) throws(WireError) {
        guard let text = member.text else { throw .mustBe("a string", "raw", member, in: line) }
        if text.range.isEmpty { throw .invalid("raw", "is empty", in: line) }
        let afterName = text.decodedBytes(in: line).drop { isFieldName($0) }
        var rest = afterName.drop { $0 == 0x20 || $0 == 0x09 }.makeIterator()
        let isNamed = text.decodedBytes(in: line).first(where: { _ in true }).map(isFieldName) ?? false
        guard isNamed, rest.next() == UInt8(ascii: ":") else {
            throw .invalid("raw", "does not begin with a header field", in: line)
        }
    }

    private static func place(_ name: [UInt8]) -> String { "headers.\(String(decoding: name, as: UTF8.self))" }

    private static func isFieldName(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: ":") }

    /// Names of fields are compared without regard to case.
    private static func isSame(_ name: some Collection<UInt8>, _ lower: StaticString) -> Bool {
        guard name.count == lower.utf8CodeUnitCount else { return false }
        return zip(name, 0..<name.count).allSatisfy { byte, index in
            (0x41...0x5A ~= byte ? byte | 0x20 : byte) == lower.utf8Start[index]
        }
    }

    /// RFC 5322 §3.6.4: `<left@right>`, atoms with dots on both sides, or a literal at the right.
    private static func isMessageID(_ text: [UInt8]) -> Bool {
        guard text.count <= wordBytesMax, text.first == UInt8(ascii: "<"), text.last == UInt8(ascii: ">") else {
            return false
        }
        let parts = text.dropFirst().dropLast().split(
            separator: UInt8(ascii: "@"), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, isDotAtom(parts[0]) else { return false }
        let right = parts[1]
        guard right.first == UInt8(ascii: "["), right.last == UInt8(ascii: "]") else { return isDotAtom(right) }
        let literal = right.dropFirst().dropLast()
        return !literal.isEmpty && literal.allSatisfy { $0 > 0x20 && $0 < 0x7F && !(0x5B...0x5D ~= $0) }
    }

    private static func isDotAtom(_ text: ArraySlice<UInt8>) -> Bool {
        text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            .allSatisfy { !$0.isEmpty && $0.allSatisfy(ASCII.isAtomText) }
    }
}
