// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// RFC 9110 §10.2.3: when a server wants to be asked again.
package enum RetryAfter {
    /// From now on, a day at most; nil where the field is missing or says nothing that can be understood.
    package static func seconds(_ field: String?, now: WallTime) -> Double? {
        guard let field else { return nil }
        let text = field.drop { $0 == " " || $0 == "\t" }
        if !text.isEmpty, text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) {
            return min(Double(text) ?? 0, Limits.retryAfterSecondsMax)
        }
        guard let time = HTTPDate.time(String(text)) else { return nil }
        return min(max(0, time.seconds(since: now)), Limits.retryAfterSecondsMax)
    }
}

/// RFC 9110 §5.6.7: one form that is written, and two that must be read.
package enum HTTPDate {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    package static func time(_ text: String) -> WallTime? {
        let words = text.split { $0 == " " || $0 == "," || $0 == "-" }.map(String.init)
        // `Sun, 06 Nov 1994 08:49:37 GMT` and `Sunday, 06-Nov-94 08:49:37 GMT`; `Sun Nov  6 08:49:37 1994`.
        if words.count == 6, words[5] == "GMT" { return time(words[3], words[2], words[1], words[4]) }
        if words.count == 5 { return time(words[4], words[1], words[2], words[3]) }
        return nil
    }

    private static func time(_ year: String, _ month: String, _ day: String, _ clock: String) -> WallTime? {
        guard let month = months.firstIndex(of: month), let day = Int(day), let year = whole(year) else { return nil }
        let date = "\(year)-\(two(month + 1))-\(two(day))T\(clock)Z"
        return WallTime(rfc3339: date)
    }

    /// RFC 9110 §5.6.7: two digits are of the last hundred years; those of this century are all that servers send.
    private static func whole(_ year: String) -> String? {
        guard year.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
        return year.utf8.count == 2 ? "20\(year)" : year
    }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
}
