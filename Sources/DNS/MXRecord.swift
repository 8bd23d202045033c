// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// RFC 1035 §3.3.9: a host that takes a domain's mail; the lowest preference is asked first.
package struct MXRecord: Equatable, Sendable {
    package var preference: Int
    /// In lower case, without the dot of the root; empty for the root itself.
    package var exchange: String

    package init(preference: Int, exchange: String) {
        self.preference = preference
        self.exchange = exchange
    }

    /// nil for what is no such record, or names a host that no mail can be sent to: not of letters, digits, hyphens and
    /// underscores (RFC 5321 §2.3.5; the underscore is wrong and in use).
    package init?(_ data: [UInt8]) {
        guard data.count > 2, let name = Self.name(data[2...]) else { return nil }
        preference = Int(data[0]) << 8 | Int(data[1])
        exchange = name
    }

    /// RFC 1035 §3.1: labels, each behind its length, and the root's empty one at the end.
    private static func name(_ wire: ArraySlice<UInt8>) -> String? {
        var labels: [String] = []
        var rest = wire
        while let length = rest.popFirst(), length > 0 {
            guard length < 64, rest.count > Int(length) else { return nil }
            let label = rest.prefix(Int(length))
            guard label.allSatisfy(isHostCharacter) else { return nil }
            labels.append(String(decoding: label, as: UTF8.self).lowercased())
            rest = rest.dropFirst(Int(length))
        }
        return rest.isEmpty ? labels.joined(separator: ".") : nil
    }

    private static func isHostCharacter(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == 0x2D || byte == 0x5F
    }
}
