// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

extension WallTime {
    /// Reads a time with its offset: `2026-11-23T12:00:00Z`, `2026-11-23T13:00:00.25+01:00`. Digits beyond
    /// milliseconds are dropped. nil if it is none, or no such day or time exists.
    package init?(rfc3339 text: UnsafeRawBufferPointer) {
        var reader = RFC3339Reader(bytes: text)
        guard let milliseconds = reader.milliseconds() else { return nil }
        self.init(milliseconds: milliseconds)
    }

    package init?(rfc3339 text: some StringProtocol) {
        var copy = String(text)
        guard let time = copy.withUTF8({ WallTime(rfc3339: UnsafeRawBufferPointer($0)) }) else { return nil }
        self = time
    }

    /// `2026-11-23T12:00:00.123Z`. Years before 0 and after 9999, which RFC 3339 cannot write, become these.
    package var rfc3339: String {
        let first: Int64 = -62_167_219_200_000
        let last: Int64 = 253_402_300_799_999
        let time = Swift.min(Swift.max(milliseconds, first), last)
        let (days, ofDay) = time.floorDivided(by: 86_400_000)
        let (year, month, day) = Calendar.date(days: days)
        let parts = [(year, 4, "-"), (month, 2, "-"), (day, 2, "T"), (ofDay / 3_600_000, 2, ":")]
        let rest = [(ofDay / 60_000 % 60, 2, ":"), (ofDay / 1000 % 60, 2, "."), (ofDay % 1000, 3, "Z")]
        return (parts + rest).reduce(into: "") { text, part in
            let digits = String(part.0)
            text += String(repeating: "0", count: part.1 - digits.count) + digits + part.2
        }
    }
}

/// Days of the proleptic Gregorian calendar, counted from 1970-01-01.
private enum Calendar {
    /// Years begin in March here, so that the leap day is the last one; 400 of them have 146,097 days.
    static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let (era, yearOfEra) = (month <= 2 ? year - 1 : year).floorDivided(by: 400)
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    static func date(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (days + 719_468).floorDivided(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    static func daysOfMonth(_ month: Int64, year: Int64) -> Int64 {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        switch month {
        case 2: return isLeap ? 29 : 28
        case 4, 6, 9, 11: return 30
        default: return 31
        }
    }
}

extension Int64 {
    fileprivate func floorDivided(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

/// RFC 3339 §5.6, where "T" and "Z" may be in lower case. The space that some put in place of the "T" is not taken.
private struct RFC3339Reader {
    let bytes: UnsafeRawBufferPointer
    var place = 0

    mutating func milliseconds() -> Int64? {
        guard let days = days(), take("T", or: "t"), let hour = digits(2), hour < 24, take(":"),
            let minute = digits(2), minute < 60, take(":"), let second = digits(2), second <= 60,
            let fraction = fraction(), let offset = offset(), place == bytes.count
        else { return nil }
        let minutes = days * 1440 + hour * 60 + minute - offset
        // RFC 3339 §5.7: a leap second comes at the end of a day by UTC. POSIX time counts it with the second after.
        if second == 60, (minutes + 1) % 1440 != 0 { return nil }
        return (minutes * 60 + second) * 1000 + fraction
    }

    private mutating func days() -> Int64? {
        guard let year = digits(4), take("-"), let month = digits(2), 1...12 ~= month, take("-"),
            let day = digits(2), day >= 1, day <= Calendar.daysOfMonth(month, year: year)
        else { return nil }
        return Calendar.days(year: year, month: month, day: day)
    }

    private mutating func fraction() -> Int64? {
        guard take(".") else { return 0 }
        var scale: Int64 = 1000
        var milliseconds: Int64 = 0
        let begin = place
        while let digit = digits(1) {
            scale /= 10
            milliseconds += digit * scale
        }
        return place > begin ? milliseconds : nil
    }

    /// Minutes east of Greenwich.
    private mutating func offset() -> Int64? {
        if take("Z", or: "z") { return 0 }
        let isWest = take("-")
        guard isWest || take("+"), let hour = digits(2), hour < 24, take(":"), let minute = digits(2), minute < 60
        else { return nil }
        return (isWest ? -1 : 1) * (hour * 60 + minute)
    }

    private mutating func digits(_ count: Int) -> Int64? {
        guard place + count <= bytes.count else { return nil }
        var value: Int64 = 0
        for index in place..<place + count {
            let digit = bytes[index] &- 0x30
            guard digit <= 9 else { return nil }
            value = value * 10 + Int64(digit)
        }
        place += count
        return value
    }

    private mutating func take(_ letter: Unicode.Scalar, or other: Unicode.Scalar? = nil) -> Bool {
        guard place < bytes.count else { return false }
        let byte = Unicode.Scalar(bytes[place])
        guard byte == letter || byte == other else { return false }
        place += 1
        return true
    }
}
