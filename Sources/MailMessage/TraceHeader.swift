// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

extension ComposedMessage {
    /// Puts the trace before all other fields, as servers on the way do with what they trace (RFC 5322 §3.6.7), and
    /// outside of what a signature in the message covers. What the app has set by itself stays alone.
    package mutating func prepend(_ trace: TraceContext) {
        guard !hasField(named: "traceparent"), !hasField(named: "tracestate") else { return }
        var header: [UInt8] = []
        for (name, value) in trace.fields {
            header += name.utf8
            header += ": ".utf8
            // `tracestate` may be long: RFC 5322 §2.1.1 allows 998 octets, which it never reaches.
            header += value.utf8
            header += [0x0D, 0x0A]
        }
        bytes.insert(contentsOf: header, at: 0)
    }

    /// In any case of letters (RFC 5322 §1.2.2); looks as far as the empty line.
    private func hasField(named name: String) -> Bool {
        let name = Array(name.utf8)
        var start = 0
        while start < bytes.count, bytes[start] != 0x0D {
            let colon = start + name.count
            if colon < bytes.count, bytes[colon] == UInt8(ascii: ":"),
                zip(bytes[start..<colon], name).allSatisfy({ $0 | 0x20 == $1 })
            {
                return true
            }
            guard let end = bytes[start...].firstIndex(of: 0x0A) else { return false }
            start = end + 1
        }
        return false
    }
}
