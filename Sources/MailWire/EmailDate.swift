// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Judges a Date that the app gives: RFC 5322 §3.3 without comments, `Mon, 23 Nov 2026 13:00:00 +0100`.
struct EmailDate {
    private static let days: StaticString = "MonTueWedThuFriSatSun"
    private static let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
    /// RFC 5322 §4.3: out of use, but read by everyone.
    private static let zones: StaticString = "UT GMTESTEDTCSTCDTMSTMDTPSTPDT"

    private var words: [ArraySlice<UInt8>]

    init(_ text: [UInt8]) { words = text.split(separator: 0x20) }

    var isValid: Bool {
        var words = words[...]
        if let first = words.first, first.last == UInt8(ascii: ",") {
            guard Self.isName(first.dropLast(), of: Self.days) else { return false }
            words.removeFirst()
        }
        guard words.count == 5, let day = Self.number(words.removeFirst(), 1...2), 1...31 ~= day,
            Self.isName(words.removeFirst(), of: Self.months),
            let year = Self.number(words.removeFirst(), 4...4), year >= 1900
        else { return false }
        return Self.isClock(words.removeFirst()) && Self.isZone(words.removeFirst())
    }

    private static func isName(_ word: ArraySlice<UInt8>, of names: StaticString) -> Bool {
        let all = UnsafeBufferPointer(start: names.utf8Start, count: names.utf8CodeUnitCount)
        let starts = stride(from: 0, to: all.count, by: 3)
        return word.count == 3 && starts.contains { all[$0..<$0 + 3].elementsEqual(word) }
    }

    private static func isClock(_ word: ArraySlice<UInt8>) -> Bool {
        let parts = word.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        let numbers = parts.compactMap { number($0, 2...2) }
        guard numbers.count == parts.count, 2...3 ~= numbers.count else { return false }
        return numbers[0] < 24 && numbers[1] < 60 && (numbers.count == 2 || numbers[2] <= 60)
    }

    private static func isZone(_ word: ArraySlice<UInt8>) -> Bool {
        if word.first == UInt8(ascii: "+") || word.first == UInt8(ascii: "-") {
            return number(word.dropFirst(), 4...4).map { $0 % 100 < 60 } ?? false
        }
        return isName(word, of: zones) || word.elementsEqual("UT".utf8)
    }

    private static func number(_ digits: ArraySlice<UInt8>, _ length: ClosedRange<Int>) -> Int? {
        guard length ~= digits.count, digits.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
