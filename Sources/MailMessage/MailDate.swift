// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The date-time of RFC 5322 §3.3: `Mon, 23 Nov 2026 10:00:00 +0000`.
enum MailDate {
    private static let days: StaticString = "ThuFriSatSunMonTueWed"
    private static let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"

    /// RFC 5322 §3.3: `+0000` says that the time is UTC; years before 1900 are clamped, for none is a mail's.
    static func append(_ time: WallTime, to writer: inout MessageWriter) {
        let seconds = max(time.milliseconds, -2_208_988_800_000) / 1000
        let (day, second) = seconds.quotientAndRemainder(dividingBy: 86_400)
        let (dayNumber, clock) = second < 0 ? (day - 1, second + 86_400) : (day, second)
        let date = civil(dayNumber)
        append(name: Int((dayNumber % 7 + 7) % 7), of: days, to: &writer)
        writer.append(", ")
        appendTwo(date.day, to: &writer)
        writer.append(0x20)
        append(name: date.month - 1, of: months, to: &writer)
        writer.append(0x20)
        appendTwo(date.year / 100, to: &writer)
        appendTwo(date.year % 100, to: &writer)
        writer.append(0x20)
        appendTwo(Int(clock / 3600), to: &writer)
        writer.append(0x3A)
        appendTwo(Int(clock / 60 % 60), to: &writer)
        writer.append(0x3A)
        appendTwo(Int(clock % 60), to: &writer)
        writer.append(" +0000")
    }

    private static func append(name index: Int, of names: StaticString, to writer: inout MessageWriter) {
        writer.append(UnsafeBufferPointer(start: names.utf8Start + 3 * index, count: 3))
    }

    private static func appendTwo(_ number: Int, to writer: inout MessageWriter) {
        writer.append(UInt8(truncatingIfNeeded: 0x30 + number / 10 % 10))
        writer.append(UInt8(truncatingIfNeeded: 0x30 + number % 10))
    }

    /// Days since 1970-01-01 to a date of the Gregorian calendar, by eras of 400 years that begin in March.
    private static func civil(_ days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        return (Int(year), Int(month < 10 ? month + 3 : month - 9), Int(dayOfYear - (153 * month + 2) / 5 + 1))
    }

    /// Whether an app's own Date is one that RFC 5322 §3.3 lets us generate, or ends in one of the zones of §4.3.
    static func isValid(_ text: String) -> Bool {
        var words = text.utf8.split(separator: 0x20).map { Array($0) }
        if let first = words.first, first.count == 4, first[3] == 0x2C {
            guard isName(first.dropLast(), of: days) else { return false }
            words.removeFirst()
        }
        guard words.count == 5, let day = number(words[0], 1...2), (1...31).contains(day),
            isName(words[1][...], of: months), let year = number(words[2], 4...4), year >= 1900
        else { return false }
        return isClock(words[3]) && isZone(words[4])
    }

    private static func isName(_ word: ArraySlice<UInt8>, of names: StaticString) -> Bool {
        let all = UnsafeBufferPointer(start: names.utf8Start, count: names.utf8CodeUnitCount)
        let starts = stride(from: 0, to: all.count, by: 3)
        return word.count == 3 && starts.contains { all[$0..<($0 + 3)].elementsEqual(word) }
    }

    private static func isClock(_ word: [UInt8]) -> Bool {
        let parts = word.split(separator: 0x3A, omittingEmptySubsequences: false).map { number(Array($0), 2...2) }
        guard parts.count == 2 || parts.count == 3, let hour = parts[0], let minute = parts[1] else { return false }
        // RFC 5322 §3.3: a second of 60 is a leap second.
        guard let second = parts.count == 3 ? parts[2] : 0 else { return false }
        return hour < 24 && minute < 60 && second <= 60
    }

    private static func isZone(_ word: [UInt8]) -> Bool {
        if word.first == 0x2B || word.first == 0x2D {
            return number(Array(word.dropFirst()), 4...4).map { $0 % 100 < 60 } ?? false
        }
        return ["UT", "GMT", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT"]
            .contains(String(decoding: word, as: UTF8.self))
    }

    private static func number(_ digits: [UInt8], _ length: ClosedRange<Int>) -> Int? {
        guard length.contains(digits.count), digits.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
