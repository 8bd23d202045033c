// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// RFC 2047: text beyond ASCII in a header, as `=?utf-8?q?Gr=C3=BC=C3=9Fe?=`.
enum EncodedWord {
    /// RFC 2047 §2: an encoded word has at most 75 characters, and so has …
    static let charactersMax = 75
    /// … every line that holds one at most 76.
    static let lineCharactersMax = 76
    /// `=?utf-8?q?` and `?=`.
    static let frameCharacters = 12
    /// With less room left in its line a word goes to the next: four octets of one character take 12 in Q.
    static let roomMin = 24

    /// RFC 2047 §5 (3): the octets that stand for themselves even in a phrase; good enough for text, too.
    static func isSafe(_ byte: UInt8) -> Bool {
        if ASCII.isAlphanumeric(byte) { return true }
        switch byte {
        case 0x21, 0x2A, 0x2B, 0x2D, 0x2F: return true
        default: return false
        }
    }

    /// What one octet takes in the Q encoding (RFC 2047 §4.2); a blank is shown as `_`.
    static func width(_ byte: UInt8) -> Int { isSafe(byte) || byte == 0x20 ? 1 : 3 }

    /// Q keeps Western text legible to people and filters; past two octets in five it grows far longer than B.
    static func prefersQ(_ text: ArraySlice<UInt8>) -> Bool {
        let escaped = text.reduce(0) { width($1) == 1 ? $0 : $0 + 1 }
        return escaped * 5 <= text.count * 2
    }

    /// Where the character after the one at `index` begins.
    static func nextCharacter(_ text: ArraySlice<UInt8>, after index: Int) -> Int {
        var next = index + 1
        while next < text.endIndex, text[next] & 0xC0 == 0x80 { next += 1 }
        return next
    }

    /// The end of the longest start of `text` that takes no more than `room` characters.
    /// RFC 2047 §5: an encoded word holds whole characters, never a part of one.
    static func fittingEnd(_ text: ArraySlice<UInt8>, room: Int, q: Bool) -> Int {
        var end = text.startIndex
        var used = 0
        while end < text.endIndex {
            let next = nextCharacter(text, after: end)
            let cost = q ? text[end..<next].reduce(0) { $0 + width($1) } : 0
            let total = q ? used + cost : (next - text.startIndex + 2) / 3 * 4
            guard total <= room || end == text.startIndex else { break }
            used = total
            end = next
        }
        return end
    }
}

extension MessageWriter {
    /// Writes `text` as encoded words, one a line where several are needed. The caller has written a blank or a fold
    /// before it. Decoders drop the blanks between neighbours (RFC 2047 §6.2), so all blanks of the text are inside.
    mutating func appendEncodedWords(_ text: ArraySlice<UInt8>) {
        let q = EncodedWord.prefersQ(text)
        var rest = text
        while !rest.isEmpty {
            let characters = min(EncodedWord.charactersMax, EncodedWord.lineCharactersMax - column)
            let room = characters - EncodedWord.frameCharacters
            let end = EncodedWord.fittingEnd(rest, room: room, q: q)
            append(q ? "=?utf-8?q?" : "=?utf-8?b?")
            if q { appendQ(rest[..<end]) } else { appendBase64(rest[..<end]) }
            append("?=")
            rest = rest[end...]
            if !rest.isEmpty {
                endLine()
                append(0x20)
            }
        }
    }

    /// Breaks the line where too little of it is left for an encoded word after `blanks` blanks.
    mutating func foldForEncodedWord(blanks: Int) {
        let least = blanks + EncodedWord.frameCharacters + EncodedWord.roomMin
        if column + least > EncodedWord.lineCharactersMax { endLine() }
    }

    private mutating func appendQ(_ text: ArraySlice<UInt8>) {
        for byte in text {
            if byte == 0x20 {
                append(0x5F)
            } else if EncodedWord.isSafe(byte) {
                append(byte)
            } else {
                append(0x3D)
                append(Hexadecimal.high(byte))
                append(Hexadecimal.low(byte))
            }
        }
    }
}
