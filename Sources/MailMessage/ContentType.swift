// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// A media type as an app gives it: `application/pdf`, `text/csv; charset=utf-8` (RFC 2045 §5.1).
struct ContentType {
    /// `type/subtype` in lower case.
    let essence: String

    /// Nil where `text` does not follow the grammar of RFC 2045 §5.1, comments excluded.
    init?(_ text: String) {
        var rest = Array(text.utf8)[...]
        guard rest.count <= HeaderWords.wordOctetsMax, let type = Self.token(&rest), rest.popFirst() == 0x2F,
            let subtype = Self.token(&rest)
        else { return nil }
        while !rest.isEmpty {
            Self.skipBlanks(&rest)
            guard rest.popFirst() == 0x3B else { return nil }
            Self.skipBlanks(&rest)
            guard Self.token(&rest) != nil, rest.popFirst() == 0x3D, Self.skipValue(&rest) else { return nil }
        }
        essence = "\(type)/\(subtype)".lowercased()
    }

    /// RFC 2045 §5.1 token: printable ASCII but tspecials.
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x22, 0x28, 0x29, 0x2C, 0x2F, 0x3A...0x40, 0x5B...0x5D: false
        default: byte > 0x20 && byte < 0x7F
        }
    }

    private static func token(_ text: inout ArraySlice<UInt8>) -> String? {
        let token = text.prefix { isToken($0) }
        text = text[token.endIndex...]
        return token.isEmpty ? nil : String(decoding: token, as: UTF8.self)
    }

    private static func skipBlanks(_ text: inout ArraySlice<UInt8>) {
        text = text.drop { $0 == 0x20 }
    }

    private static func skipValue(_ text: inout ArraySlice<UInt8>) -> Bool {
        guard text.first == 0x22 else { return token(&text) != nil }
        text.removeFirst()
        while let byte = text.popFirst() {
            if byte == 0x22 { return true }
            guard byte >= 0x20, byte < 0x7F, byte != 0x5C || text.popFirst() != nil else { return false }
        }
        return false
    }
}
