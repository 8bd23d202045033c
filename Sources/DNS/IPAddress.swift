// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// An IPv4 or IPv6 address, without port or zone.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// 4 or 16 octets in network order.
    package let bytes: [UInt8]

    /// nil unless there are 4 or 16.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// `192.0.2.1` or `2001:db8::1`.
    package init?(_ text: some StringProtocol) {
        let text = String(text)
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = withUnsafeBytes(of: &four) { Array($0) }
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            bytes = withUnsafeBytes(of: &six) { Array($0) }
        } else {
            return nil
        }
    }

    package var isIPv6: Bool { bytes.count == 16 }

    package var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = isIPv6 ? AF_INET6 : AF_INET
        guard inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether it may be a host of the public Internet; all others mean this machine, this network, or nobody.
    package var isPublic: Bool {
        if let inner = embedded { return inner.isPublic }
        return !(isIPv6 ? Self.special6 : Self.special4).contains { $0.contains(bytes) }
    }

    /// The IPv4 address within an IPv6 one: whoever connects to the latter reaches the former.
    private var embedded: IPAddress? {
        guard isIPv6 else { return nil }
        // RFC 4291 §2.5.5.2, RFC 6052 §2.1, RFC 3056 §2.
        if Self.mapped.contains(bytes) || Self.translated.contains(bytes) { return IPAddress(bytes: Array(bytes[12...])) }
        if Self.sixToFour.contains(bytes) { return IPAddress(bytes: Array(bytes[2..<6])) }
        return nil
    }

    private static let mapped = Prefix([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], 96)
    private static let translated = Prefix([0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0], 96)
    private static let sixToFour = Prefix([0x20, 0x02], 16)

    /// Of IANA's registry of special-purpose addresses (RFC 6890), what no public server can have.
    private static let special4 = [
        Prefix([0], 8),  // this network
        Prefix([10], 8), Prefix([172, 16], 12), Prefix([192, 168], 16),  // private (RFC 1918)
        Prefix([100, 64], 10),  // behind a carrier's NAT (RFC 6598)
        Prefix([127], 8),  // loopback
        Prefix([169, 254], 16),  // link-local
        Prefix([224], 4),  // multicast
        Prefix([240], 4),  // reserved, and broadcast
    ]

    private static let special6 = [
        Prefix([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 96),  // unspecified, loopback, and IPv4-compatible
        Prefix([0xFC], 7),  // unique local (RFC 4193)
        Prefix([0xFE, 0x80], 10),  // link-local
        Prefix([0xFE, 0xC0], 10),  // site-local, long since given up
        Prefix([0xFF], 8),  // multicast
    ]
}

/// The first bits of addresses.
private struct Prefix {
    let bytes: [UInt8]
    let bits: Int

    init(_ bytes: [UInt8], _ bits: Int) {
        self.bytes = bytes
        self.bits = bits
    }

    func contains(_ address: [UInt8]) -> Bool {
        let whole = bits / 8
        guard address.prefix(whole).elementsEqual(bytes.prefix(whole)) else { return false }
        let rest = bits % 8
        guard rest > 0 else { return true }
        return (address[whole] ^ bytes[whole]) >> UInt8(8 - rest) == 0
    }
}
