// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What Prometheus allows as a name. Names are written by programmers, so a bad one stops the program at its start.
enum MetricName {
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`
    static func isMetric(_ name: String) -> Bool { isName(name, colon: true) }

    /// `[a-zA-Z_][a-zA-Z0-9_]*`, where names that begin with two underscores belong to Prometheus.
    static func isLabel(_ name: String) -> Bool { isName(name, colon: false) && !name.hasPrefix("__") }

    private static func isName(_ name: String, colon: Bool) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"): true
            case UInt8(ascii: ":"): colon
            default: false
            }
        }
    }
}
