// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Mail addresses in a text, cut to their domains: `<ann@example.com>` becomes `<*@example.com>`.
///
/// A relay's reply may name an address of its own making (RFC 5321 §4.2 leaves the text free), hence a search through
/// the text and not a comparison with the recipients.
package enum HiddenAddresses {
    package static func text(_ text: String) -> String {
        guard text.utf8.contains(at) else { return text }
        var hidden: [UInt8] = []
        for byte in text.utf8 {
            if byte == at { cutLocalPart(&hidden) }
            hidden.append(byte)
        }
        return String(decoding: hidden, as: UTF8.self)
    }

    /// Of what stands before an `@`. Without a local part it is no address, and stays.
    private static func cutLocalPart(_ bytes: inout [UInt8]) {
        let start = bytes.last == quote ? quoted(bytes) : bytes.lastIndex { !isAtomText($0) }.map { $0 + 1 } ?? 0
        guard start < bytes.count else { return }
        bytes.removeSubrange(start...)
        bytes.append(UInt8(ascii: "*"))
    }

    /// RFC 5321 §4.1.2, Quoted-string: from the quote that opens it, or all where none does.
    private static func quoted(_ bytes: [UInt8]) -> Int {
        var index = bytes.count - 1
        while let before = bytes[..<index].lastIndex(of: quote) {
            let isEscaped = before > 0 && bytes[before - 1] == UInt8(ascii: "\\")
            if !isEscaped { return before }
            index = before
        }
        return 0
    }

    private static let at = UInt8(ascii: "@")
    private static let quote = UInt8(ascii: "\"")
    private static let specials = Set("!#$%&'*+-/=?^_`{|}~.".utf8)

    /// RFC 5321 §4.1.2, Dot-string; RFC 6531 §3.3 adds what lies beyond ASCII.
    private static func isAtomText(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...0xFF:
            true
        default: specials.contains(byte)
        }
    }
}
