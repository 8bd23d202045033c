// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Parameters of Content-Type and Content-Disposition (RFC 2045 §5.1), each on a line of its own where need be.
extension MessageWriter {
    /// `; name="value"`, or RFC 2231's `; name*=utf-8''…` where the value is not plain ASCII or too long for a line.
    /// Never an encoded word: RFC 2047 §5 forbids them in parameters.
    mutating func appendParameter(_ name: StaticString, _ value: String) {
        append(0x3B)
        let traits = HeaderText(value)
        // Some readers decode what looks like an encoded word even here.
        let isPlain = !traits.hasNonASCII && !traits.looksEncoded
        let quoted = isPlain ? QuotedString.encode(value) : []
        let length = name.utf8CodeUnitCount + 2 + quoted.count
        guard isPlain, length <= Limits.mailLineBytesWanted else {
            return appendExtended(name, Array(value.utf8))
        }
        foldIfNeeded(for: length)
        append(0x20)
        append(name)
        append(0x3D)
        append(quoted)
    }

    /// RFC 2231 §4: percent-encoded UTF-8; §3: in numbered pieces where it does not fit into one line. Each piece holds
    /// whole characters, for some readers decode piece by piece.
    private mutating func appendExtended(_ name: StaticString, _ value: [UInt8]) {
        let nameCount = name.utf8CodeUnitCount
        let whole = value.reduce(0) { $0 + ExtendedValue.width($1) }
        guard nameCount + whole + 11 > Limits.mailLineBytesWanted else {
            foldIfNeeded(for: nameCount + whole + 11)
            append(0x20)
            append(name)
            append("*=utf-8''")
            return appendPercent(value[...])
        }
        var rest = value[...]
        var number = 0
        while !rest.isEmpty {
            endLine()
            append(0x20)
            append(name)
            append(number == 0 ? "*0*=utf-8''" : "*\(number)*=")
            let end = ExtendedValue.fittingEnd(rest, room: Limits.mailLineBytesWanted - column - 1)
            appendPercent(rest[..<end])
            rest = rest[end...]
            if !rest.isEmpty { append(0x3B) }
            number += 1
        }
    }

    private mutating func appendPercent(_ value: ArraySlice<UInt8>) {
        for byte in value {
            if ExtendedValue.isSafe(byte) {
                append(byte)
            } else {
                append(0x25)
                append(Hexadecimal.high(byte))
                append(Hexadecimal.low(byte))
            }
        }
    }
}

enum ExtendedValue {
    /// RFC 2231 §7 attribute-char: no blank, control, `*`, `'`, `%` or tspecials.
    static func isSafe(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x2A, 0x27, 0x25: false
        default: ContentType.isToken(byte)
        }
    }

    static func width(_ byte: UInt8) -> Int { isSafe(byte) ? 1 : 3 }

    static func fittingEnd(_ text: ArraySlice<UInt8>, room: Int) -> Int {
        var end = text.startIndex
        var used = 0
        while end < text.endIndex {
            let next = EncodedWord.nextCharacter(text, after: end)
            used += text[end..<next].reduce(0) { $0 + width($1) }
            guard used <= room || end == text.startIndex else { break }
            end = next
        }
        return end
    }
}
