// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Whom a connection may be made to. Asked of an address and never of a name: what a name leads to may change between
/// two looks (DNS rebinding).
package enum AddressPolicy: Equatable, Sendable {
    case anywhere
    /// Nothing of this machine, its networks or a cloud's inside: only what the internet can reach as well.
    case publicOnly

    /// Why no connection is made, such as `127.0.0.1 is a loopback address`; nil where one may be.
    package func refusal(of address: SocketAddress) -> String? {
        guard self == .publicOnly else { return nil }
        guard let bytes = address.ipBytes else { return "it is no IP address" }
        guard let kind = SpecialAddress.kind(of: bytes) else { return nil }
        return "\(address.ipAddress ?? "it") is \(kind)"
    }
}

/// Addresses that mean something else to everybody (RFC 6890 and its registries at IANA).
package enum SpecialAddress {
    /// Such as `a private address`; nil for a public one.
    /// - Parameter bytes: 4 or 16, in the order of the network.
    package static func kind(of bytes: [UInt8]) -> String? {
        if bytes.count == 4 { return first(four, bytes) }
        if let inner = embedded(bytes) { return first(four, inner) }
        // RFC 4291 §2.4: what is not 2000::/3 is not given to anybody.
        return first(six, bytes) ?? (bytes[0] & 0xE0 == 0x20 ? nil : "not a public address")
    }

    /// The IPv4 address that is reached in truth.
    private static func embedded(_ bytes: [UInt8]) -> [UInt8]? {
        // RFC 4291 §2.5.5.2 (mapped), RFC 6052 §2.1 (NAT64), RFC 2765 (translated).
        let prefixes: [[UInt8]] = [
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0],
        ]
        return prefixes.contains { bytes.starts(with: $0) } ? Array(bytes[12...]) : nil
    }

    private typealias Block = (prefix: [UInt8], bits: Int, kind: String)

    private static let four: [Block] = [
        ([0], 8, "an address of this network"), ([10], 8, "a private address"),
        ([100, 64], 10, "a shared address"), ([127], 8, "a loopback address"),
        ([169, 254], 16, "a link-local address"), ([172, 16], 12, "a private address"),
        ([192, 0, 0], 24, "a reserved address"), ([192, 0, 2], 24, "an address for documentation"),
        ([192, 31, 196], 24, "a reserved address"), ([192, 52, 193], 24, "a reserved address"),
        ([192, 88, 99], 24, "a reserved address"), ([192, 168], 16, "a private address"),
        ([192, 175, 48], 24, "a reserved address"), ([198, 18], 15, "an address for benchmarks"),
        ([198, 51, 100], 24, "an address for documentation"), ([203, 0, 113], 24, "an address for documentation"),
        ([224], 4, "a multicast address"), ([240], 4, "a reserved address"),
    ]

    private static let six: [Block] = [
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 128, "a loopback address"),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 96, "an address of this network"),
        ([0, 0x64, 0xFF, 0x9B, 0, 1], 48, "a private address"), ([1, 0], 8, "a reserved address"),
        ([0x20, 0x01, 0x0D, 0xB8], 32, "an address for documentation"),
        // Teredo, ORCHID, benchmarks and others; the global ones among them lead to no servers.
        ([0x20, 0x01, 0], 23, "a reserved address"), ([0x20, 0x02], 16, "an address of 6to4"),
        ([0x3F, 0xFF], 20, "an address for documentation"), ([0xFC], 7, "a private address"),
        ([0xFE, 0x80], 10, "a link-local address"), ([0xFE, 0xC0], 10, "a private address"),
        ([0xFF], 8, "a multicast address"),
    ]

    private static func first(_ blocks: [Block], _ bytes: [UInt8]) -> String? {
        blocks.first { contains($0, bytes) }?.kind
    }

    private static func contains(_ block: Block, _ bytes: [UInt8]) -> Bool {
        (0..<(block.bits + 7) / 8).allSatisfy { index in
            let left = min(8, block.bits - 8 * index)
            let mask = UInt8(truncatingIfNeeded: 0xFF << (8 - left))
            let wanted = index < block.prefix.count ? block.prefix[index] : 0
            return bytes[index] & mask == wanted & mask
        }
    }
}

extension SocketAddress {
    /// Four or sixteen; nil of a Unix socket.
    fileprivate var ipBytes: [UInt8]? {
        switch self {
        case .v4(let address):
            var four = address.address.sin_addr
            return withUnsafeBytes(of: &four) { Array($0) }
        case .v6(let address):
            var six = address.address.sin6_addr
            return withUnsafeBytes(of: &six) { Array($0) }
        case .unixDomainSocket: return nil
        }
    }
}
