// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Where a string stands in a text, without its quotes, and what is known of its bytes there: whether one is a
/// backslash, and whether all are ASCII (`\u00E9` is).
package struct JSONText: Equatable, Sendable {
    package var range: Range<Int>
    package var escaped: Bool
    package var ascii: Bool
}

extension JSONScanner {
    /// RFC 8259 §7; the cursor stands on the opening quote, then behind the closing one.
    mutating func string() throws(JSONError) -> JSONText {
        let begin = offset + 1
        var place = begin
        var escaped = false
        var ascii = true
        while true {
            place = endOfPlain(from: place)
            guard place < end else { throw fault("", at: end) }
            switch bytes[place] {
            case UInt8(ascii: "\""):
                offset = place + 1
                return JSONText(range: begin..<place, escaped: escaped, ascii: ascii)
            case UInt8(ascii: "\\"):
                escaped = true
                place = try endOfEscape(at: place)
            case 0x80...:
                ascii = false
                repeat { place = try endOfCharacter(at: place) } while place < end && bytes[place] >= 0x80
            default:
                throw fault("a control character in a string", at: place)
            }
        }
    }

    /// The first byte from `place` on that is a quote, a backslash, a control character or not ASCII; eight at a time.
    @inline(__always)
    private func endOfPlain(from place: Int) -> Int {
        var place = place
        while place &+ 8 <= end {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
            let stops = Self.stops(in: word)
            if stops != 0 { return place &+ stops.trailingZeroBitCount >> 3 }
            place &+= 8
        }
        while place < end, Self.isPlain(bytes[place]) { place &+= 1 }
        return place
    }

    /// The high bit of each byte that stops a plain run. A borrow can set bits above the lowest one, never below it.
    @inline(__always)
    private static func stops(in word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5C)
        let below = ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | ((word &- ones &* 0x20) & ~word)
        return (below | word) & (ones &* 0x80)
    }

    @inline(__always)
    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x80 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    /// RFC 3629 §4: no overlong form, no surrogate, nothing above U+10FFFF.
    private func endOfCharacter(at place: Int) throws(JSONError) -> Int {
        switch bytes[place] {
        case 0xC2...0xDF: try endOfCharacter(at: place, length: 2, second: 0x80...0xBF)
        case 0xE0: try endOfCharacter(at: place, length: 3, second: 0xA0...0xBF)
        case 0xED: try endOfCharacter(at: place, length: 3, second: 0x80...0x9F)
        case 0xE1...0xEF: try endOfCharacter(at: place, length: 3, second: 0x80...0xBF)
        case 0xF0: try endOfCharacter(at: place, length: 4, second: 0x90...0xBF)
        case 0xF1...0xF3: try endOfCharacter(at: place, length: 4, second: 0x80...0xBF)
        case 0xF4: try endOfCharacter(at: place, length: 4, second: 0x80...0x8F)
        default: throw fault("invalid UTF-8", at: place)
        }
    }

    @inline(__always)
    private func endOfCharacter(
        at place: Int, length: Int, second: ClosedRange<UInt8>
    ) throws(JSONError) -> Int {
        guard place + length <= end else { throw fault("invalid UTF-8", at: place) }
        var valid = second.contains(bytes[place + 1])
        for index in 2..<max(length, 2) where bytes[place + index] & 0xC0 != 0x80 { valid = false }
        if !valid { throw fault("invalid UTF-8", at: place) }
        return place + length
    }

    private func endOfEscape(at place: Int) throws(JSONError) -> Int {
        guard place + 1 < end else { throw fault("", at: end) }
        switch bytes[place + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return place + 2
        case UInt8(ascii: "u"):
            return try endOfUnicodeEscape(at: place)
        default:
            throw fault("an unknown escape in a string", at: place)
        }
    }

    /// RFC 8259 §8.2 warns of lone surrogates: they have no UTF-8, so they are no text.
    private func endOfUnicodeEscape(at place: Int) throws(JSONError) -> Int {
        guard let first = JSONText.hexadecimal(bytes, at: place + 2, end: end) else {
            throw fault("\\u without four hexadecimal digits", at: place)
        }
        guard first & 0xF800 == 0xD800 else { return place + 6 }
        guard first < 0xDC00, place + 7 < end, bytes[place + 6] == UInt8(ascii: "\\"),
            bytes[place + 7] == UInt8(ascii: "u"),
            let second = JSONText.hexadecimal(bytes, at: place + 8, end: end), second & 0xFC00 == 0xDC00
        else { throw fault("a lone surrogate in a string", at: place) }
        return place + 12
    }
}

// MARK: Decoding

/// The functions below expect a string that a scanner has let pass; of another they make something meaningless, safely.
extension JSONText {
    /// Four hexadecimal digits from `place` on.
    static func hexadecimal(_ bytes: UnsafeRawBufferPointer, at place: Int, end: Int) -> UInt32? {
        guard place + 4 <= end else { return nil }
        var value: UInt32 = 0
        for index in place..<place + 4 {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - 0x30)
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - 0x61 + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - 0x41 + 10)
            default: return nil
            }
        }
        return value
    }

    /// The character that the backslash at `place` begins; moves `place` behind it.
    static func unescaped(_ bytes: UnsafeRawBufferPointer, at place: inout Int, end: Int) -> Unicode.Scalar {
        let letter = place + 1 < end ? bytes[place + 1] : 0
        if letter == UInt8(ascii: "u") { return unicode(bytes, at: &place, end: end) }
        place = min(place + 2, end)
        switch letter {
        case UInt8(ascii: "b"): return "\u{08}"
        case UInt8(ascii: "f"): return "\u{0C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        default: return Unicode.Scalar(letter)
        }
    }

    private static func unicode(_ bytes: UnsafeRawBufferPointer, at place: inout Int, end: Int) -> Unicode.Scalar {
        let first = hexadecimal(bytes, at: place + 2, end: end) ?? 0xFFFD
        place = min(place + 6, end)
        guard first & 0xFC00 == 0xD800 else { return Unicode.Scalar(first) ?? "\u{FFFD}" }
        let second = hexadecimal(bytes, at: place + 2, end: end) ?? 0xDC00
        place = min(place + 6, end)
        return Unicode.Scalar(0x10000 + (first & 0x3FF) << 10 + (second & 0x3FF)) ?? "\u{FFFD}"
    }

    /// Appends the text, decoded, in UTF-8.
    package func append(to sink: inout [UInt8], from bytes: UnsafeRawBufferPointer) {
        guard escaped else { return sink.append(contentsOf: bytes[range]) }
        sink.reserveCapacity(sink.count + range.count)
        var place = range.lowerBound
        while place < range.upperBound {
            let run = bytes[place..<range.upperBound]
            let stop = run.firstIndex(of: UInt8(ascii: "\\")) ?? range.upperBound
            sink.append(contentsOf: run[..<stop])
            place = stop
            if place < range.upperBound {
                let character = Self.unescaped(bytes, at: &place, end: range.upperBound)
                sink.append(contentsOf: UTF8.encode(character) ?? .init())
            }
        }
    }

    package func decoded(from bytes: UnsafeRawBufferPointer) -> [UInt8] {
        guard escaped else { return Array(bytes[range]) }
        var sink: [UInt8] = []
        append(to: &sink, from: bytes)
        return sink
    }

    package func string(from bytes: UnsafeRawBufferPointer) -> String {
        guard escaped else { return String(decoding: bytes[range], as: UTF8.self) }
        return String(decoding: decoded(from: bytes), as: UTF8.self)
    }
}
