// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// RFC 4648 §4, the canonical form only: padded, no bits beyond the data (§3.5), no line breaks (§3.1). So two texts
/// are never the same data.
package enum Base64Text {
    private static let equals = UInt8(ascii: "=")
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    static func isCanonical(_ text: UnsafeRawBufferPointer) -> Bool {
        guard text.count.isMultiple(of: 4) else { return false }
        let padding = padding(of: text)
        var isValid = true
        // No early exit, so that the compiler can take many bytes at a time: nearly all texts are valid.
        for index in 0..<text.count - padding {
            let byte = text[index]
            let isLetter = (byte | 0x20) &- 0x61 < 26
            let isDigit = byte &- 0x30 < 10
            isValid = isValid && (isLetter || isDigit || byte == 0x2B || byte == 0x2F)
        }
        guard isValid, padding > 0 else { return isValid }
        let last = values[Int(text[text.count - padding - 1])]
        return last & (padding == 1 ? 0x03 : 0x0F) == 0
    }

    /// nil if `text` is not canonical.
    static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        guard isCanonical(text) else { return nil }
        let padding = padding(of: text)
        let whole = (text.count - padding) / 4
        let count = text.count / 4 * 3 - padding
        return values.withUnsafeBufferPointer { values in
            [UInt8](unsafeUninitializedCapacity: count) { data, filled in
                for group in 0..<whole {
                    let bits = bits(text, at: 4 * group, values)
                    data[3 * group] = UInt8(truncatingIfNeeded: bits >> 16)
                    data[3 * group + 1] = UInt8(truncatingIfNeeded: bits >> 8)
                    data[3 * group + 2] = UInt8(truncatingIfNeeded: bits)
                }
                if padding > 0 {
                    let bits = bits(text, at: 4 * whole, values)
                    data[3 * whole] = UInt8(truncatingIfNeeded: bits >> 16)
                    if padding == 1 { data[3 * whole + 1] = UInt8(truncatingIfNeeded: bits >> 8) }
                }
                filled = count
            }
        }
    }

    /// nil if `text` is not canonical.
    package static func decode(_ text: String) -> [UInt8]? {
        Array(text.utf8).withUnsafeBytes { decode($0) }
    }

    package static func encode(_ data: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in data {
            bits = bits << 8 | UInt32(byte)
            count += 1
            guard count.isMultiple(of: 3) else { continue }
            for shift: UInt32 in [18, 12, 6, 0] { text.append(alphabet.utf8Start[Int(bits >> shift & 63)]) }
            bits = 0
        }
        let rest = count % 3
        if rest > 0 {
            bits <<= rest == 1 ? 16 : 8
            text.append(alphabet.utf8Start[Int(bits >> 18)])
            text.append(alphabet.utf8Start[Int(bits >> 12 & 63)])
            text.append(rest == 1 ? equals : alphabet.utf8Start[Int(bits >> 6 & 63)])
            text.append(equals)
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Of so many bytes.
    package static func length(of count: Int) -> Int { (count + 2) / 3 * 4 }

    /// `text` has exactly the room for it. Only the last of several pieces may have a length that is no multiple of 3.
    package static func encode(_ data: UnsafeRawBufferPointer, into text: UnsafeMutableRawBufferPointer) {
        precondition(text.count == length(of: data.count))
        let digits = UnsafeBufferPointer(start: alphabet.utf8Start, count: 64)
        let whole = data.count / 3
        for group in 0..<whole {
            let bits = UInt32(data[3 * group]) << 16 | UInt32(data[3 * group + 1]) << 8 | UInt32(data[3 * group + 2])
            let four =
                UInt32(digits[Int(bits >> 18)]) | UInt32(digits[Int(bits >> 12 & 63)]) << 8
                | UInt32(digits[Int(bits >> 6 & 63)]) << 16 | UInt32(digits[Int(bits & 63)]) << 24
            text.storeBytes(of: four.littleEndian, toByteOffset: 4 * group, as: UInt32.self)
        }
        let rest = data.count - 3 * whole
        guard rest > 0 else { return }
        let bits = UInt32(data[3 * whole]) << 16 | (rest == 2 ? UInt32(data[3 * whole + 1]) << 8 : 0)
        text[4 * whole] = digits[Int(bits >> 18)]
        text[4 * whole + 1] = digits[Int(bits >> 12 & 63)]
        text[4 * whole + 2] = rest == 2 ? digits[Int(bits >> 6 & 63)] : equals
        text[4 * whole + 3] = equals
    }

    private static func padding(of text: UnsafeRawBufferPointer) -> Int {
        guard text.count >= 4, text[text.count - 1] == equals else { return 0 }
        return text[text.count - 2] == equals ? 2 : 1
    }

    @inline(__always)
    private static func bits(
        _ text: UnsafeRawBufferPointer, at place: Int, _ values: UnsafeBufferPointer<UInt8>
    ) -> UInt32 {
        UInt32(values[Int(text[place])]) << 18 | UInt32(values[Int(text[place + 1])]) << 12
            | UInt32(values[Int(text[place + 2])]) << 6 | UInt32(values[Int(text[place + 3])])
    }

    /// Six bits for each character of the alphabet, 0 for all others, "=" among them.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0, count: 256)
        for index in 0..<64 { values[Int(alphabet.utf8Start[index])] = UInt8(index) }
        return values
    }()
}
