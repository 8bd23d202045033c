// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What was added to the daemon's totals a second, from one answer to the next.
package struct Rates {
    package private(set) var last: JSONValue?
    private var lastAt = 0.0
    private var values: [String: Double] = [:]

    package init() {}

    /// - Parameter now: monotonic seconds.
    package mutating func add(_ status: JSONValue, at now: Double) {
        defer {
            last = status
            lastAt = now
        }
        values = [:]
        // Another process has begun its totals anew.
        guard let last, now > lastAt, last["pid"]?.int == status["pid"]?.int else { return }
        for key in ["accepted_total", "delivered_total", "failed_total"] {
            guard let before = last[key]?.int, let after = status[key]?.int else { continue }
            values[key] = Double(after - before) / (now - lastAt)
        }
    }

    /// nil where it is not known yet.
    package subscript(key: String) -> Double? { values[key] }

    /// `12.5/s`, `1234/s`; a dash where it is not known.
    package func text(_ key: String) -> String {
        guard let value = values[key] else { return "–" }
        guard value < 100 else { return "\(Int(value.rounded()))/s" }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)/s" : "\(tenths / 10).\(tenths % 10)/s"
    }
}

/// The monotonic clock, and sleep by it.
struct Ticks {
    var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    func sleep(_ seconds: Double) {
        let end = now + seconds
        while case let left = end - now, left > 0 {
            var time = timespec(tv_sec: Int(left), tv_nsec: Int((left - left.rounded(.down)) * 1e9))
            nanosleep(&time, nil)
        }
    }
}
