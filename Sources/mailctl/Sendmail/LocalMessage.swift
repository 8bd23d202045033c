// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// A message as a program of this machine wrote it: perhaps without a header, with names for addresses, and with the
/// line that mailboxes begin with. What a submission server has to mend, RFC 6409 §8 lists.
package struct LocalMessage {
    package struct Field: Equatable {
        package var name: String
        /// With its folds, and the blank after the colon, without the line's end.
        package var value: [UInt8]

        package init(_ name: String, _ value: [UInt8]) {
            self.name = name
            self.value = value
        }

        func isNamed(_ other: String) -> Bool { name.lowercased() == other }
    }

    package private(set) var fields: [Field] = []
    /// With LF or CRLF at the ends of its lines, as it came.
    package private(set) var body: [UInt8]

    /// Lines that look like fields are the header, up to the first that does not; a blank line there is left out.
    package init(_ text: [UInt8]) {
        var start = Self.afterMailboxLine(text)
        while start < text.count {
            let end = text[start...].firstIndex(of: 0x0A) ?? text.count
            let line = text[start..<end].last == 0x0D ? text[start..<(end - 1)] : text[start..<end]
            let next = min(end + 1, text.count)
            if line.isEmpty {
                start = next
                break
            }
            if let first = line.first, first == 0x20 || first == 0x09, !fields.isEmpty {
                fields[fields.count - 1].value += [0x0A] + line
            } else if let field = Self.field(line) {
                fields.append(field)
            } else {
                break
            }
            start = next
        }
        body = Array(text[start...])
    }

    /// `From ann@example.com Mon Nov 23 …`, and what some write instead of it, `>From `.
    private static func afterMailboxLine(_ text: [UInt8]) -> Int {
        guard text.starts(with: "From ".utf8) || text.starts(with: ">From ".utf8) else { return 0 }
        return (text.firstIndex(of: 0x0A) ?? text.count - 1) + 1
    }

    private static func field(_ line: ArraySlice<UInt8>) -> Field? {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        var name = line[..<colon]
        while let last = name.last, last == 0x20 || last == 0x09 { name.removeLast() }
        // RFC 5322 §3.6.8
        guard !name.isEmpty, name.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        return Field(String(decoding: name, as: UTF8.self), Array(line[(colon + 1)...]))
    }

    private func has(_ name: String) -> Bool { fields.contains { $0.isNamed(name) } }

    /// `-t`: who the header says. RFC 5322 §3.6.6: once a message is sent on, it goes to those it is sent on to.
    package var recipients: [String] {
        let isResent = ["resent-to", "resent-cc", "resent-bcc"].contains { has($0) }
        let names = isResent ? ["resent-to", "resent-cc", "resent-bcc"] : ["to", "cc", "bcc"]
        return fields.filter { field in names.contains { field.isNamed($0) } }
            .flatMap { AddressField($0.value).addresses.map(\.text) }
    }

    private static let addressFields = [
        "from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-to", "resent-cc",
    ]

    /// Gives each address a domain, and the message an author and a list of recipients where it has none. Blind
    /// recipients go: RFC 5322 §3.6.3.
    package mutating func complete(author: @autoclosure () -> String, domain: @autoclosure () -> String) {
        fields.removeAll { $0.isNamed("bcc") || $0.isNamed("resent-bcc") }
        for index in fields.indices where Self.addressFields.contains(where: { fields[index].isNamed($0) }) {
            fields[index].value = AddressField(fields[index].value).qualified(domain())
        }
        if !has("from") { fields.append(Field("From", Array(" \(author())".utf8))) }
        if !has("to"), !has("cc") { fields.append(Field("To", Array(" undisclosed-recipients:;".utf8))) }
    }

    package var bytes: [UInt8] {
        var result: [UInt8] = []
        for field in fields { result += Array(field.name.utf8) + [UInt8(ascii: ":")] + field.value + [0x0A] }
        // A NUL is nothing that mail can hold: RFC 5322 §2.3.
        return result + [0x0A] + body.filter { $0 != 0 }
    }

    /// `Ann Example <ann@example.com>`, as RFC 5322 §3.2.4 and RFC 2047 §5 want the name.
    package static func author(_ name: String, _ address: String) -> String {
        let name = Aliases.trimmed(name.filter { !$0.isNewline && $0 != "\0" })
        guard !name.isEmpty else { return address }
        if name.utf8.contains(where: { $0 >= 0x80 || $0 < 0x20 }) {
            return encodedWords(name) + " <\(address)>"
        }
        let isPlain = name.utf8.allSatisfy { $0 == 0x20 || isAtomText($0) }
        let escaped = name.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] }
        return isPlain ? "\(name) <\(address)>" : "\"\(String(escaped))\" <\(address)>"
    }

    /// RFC 2047 §2: 75 characters at most; whole characters in each.
    private static func encodedWords(_ text: String) -> String {
        var words: [[UInt8]] = [[]]
        for character in text {
            let bytes = Array(String(character).utf8)
            if words[words.count - 1].count + bytes.count > 45 { words.append([]) }
            words[words.count - 1] += bytes
        }
        return words.map { "=?UTF-8?B?\(Base64.encoded($0))?=" }.joined(separator: " ")
    }

    private static func isAtomText(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-/=?^_`{|}~".utf8.contains(byte)
        }
    }
}
