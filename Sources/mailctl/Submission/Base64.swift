// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// RFC 4648 §4, without line ends.
package enum Base64 {
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    package static func encoded(_ bytes: [UInt8]) -> String {
        let count = (bytes.count + 2) / 3 * 4
        return String(unsafeUninitializedCapacity: count) { text in
            var place = 0
            for start in stride(from: 0, to: bytes.count, by: 3) {
                let group = (0..<3).reduce(UInt32(0)) { value, index in
                    value << 8 | (start + index < bytes.count ? UInt32(bytes[start + index]) : 0)
                }
                for digit in 0..<4 {
                    // §4: a missing last or last but one byte leaves digits that are written as "=".
                    let isPadding = start + digit > bytes.count
                    let value = Int(group >> UInt32(18 - 6 * digit)) & 63
                    text[place] = isPadding ? UInt8(ascii: "=") : alphabet.utf8Start[value]
                    place += 1
                }
            }
            return count
        }
    }
}
