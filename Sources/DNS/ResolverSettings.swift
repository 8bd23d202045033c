// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Whom a resolver asks, and whom it believes.
package struct ResolverSettings: Equatable, Sendable {
    /// What DNSSEC is worth.
    package enum Validation: String, CaseIterable, Sendable {
        /// Forgeries are refused; where the name servers hand no signatures on, nothing is proven and all is taken.
        case auto
        /// Where signatures are due and missing, that is a forgery too.
        case required
        case off
    }

    /// From /etc/resolv.conf, and as it changes, where there are none.
    package var servers: [NameServer] = []
    package var validation = Validation.auto
    /// A file of DS or DNSKEY records; nil: Debian's of the root, where it is installed.
    package var trustAnchor: String?

    package init() {}

    /// Of the package dns-root-data.
    package static let rootAnchor = "/usr/share/dns/root.key"

    /// Something can be proven.
    package var hasAnchor: Bool { anchor != nil }

    /// nil where nothing can be.
    var anchor: String? {
        if validation == .off { return nil }
        return trustAnchor ?? (access(Self.rootAnchor, R_OK) == 0 ? Self.rootAnchor : nil)
    }
}

/// A recursive name server, written `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[2001:db8::53]:5353`.
package struct NameServer: Hashable, Sendable, CustomStringConvertible {
    package var address: IPAddress
    /// Of a link-local address, such as `eth0`.
    package var zone: String?
    package var port: UInt16

    package init(_ address: IPAddress, zone: String? = nil, port: UInt16 = 53) {
        self.address = address
        self.zone = zone
        self.port = port
    }

    package init?(_ text: String) {
        if let server = Self.bare(text[...]) {
            self = server
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { return nil }
        var host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        guard var server = Self.bare(host), server.address.isIPv6 == isBracketed else { return nil }
        server.port = port
        self = server
    }

    private static func bare(_ text: Substring) -> NameServer? {
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(first) else { return nil }
        guard parts.count == 2 else { return NameServer(address) }
        guard address.isIPv6, !parts[1].isEmpty else { return nil }
        return NameServer(address, zone: String(parts[1]))
    }

    private var host: String { zone.map { "\(address)%\($0)" } ?? address.description }

    package var description: String {
        if port == 53 { return host }
        return address.isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// As unbound.conf(5) writes it.
    var unboundText: String { "\(host)@\(port)" }
}
