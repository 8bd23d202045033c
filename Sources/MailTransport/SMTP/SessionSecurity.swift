// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// When a session is encrypted.
package enum TLSPolicy: String, CaseIterable, Sendable {
    /// STARTTLS with a certificate that is verified, or no mail.
    case required
    /// STARTTLS where it is offered, without a look at the certificate: keeps out listeners, not impostors (RFC 7435).
    case opportunistic
    case off
    /// TLS from the first octet, with a certificate that is verified, or no mail (RFC 8314 §3.3).
    case implicit

    /// What a relay gets that says nothing.
    package static func usual(host: String, port: Int) -> TLSPolicy {
        port == 465 ? .implicit : Loopback.contains(host) ? .off : .required
    }

    package var isVerified: Bool { self == .required || self == .implicit }
}

/// What a session must have before it takes mail.
package struct SessionSecurity: Sendable {
    package var tls: TLSPolicy
    /// nil: no login. Otherwise the mechanisms that may be used, the best first.
    package var mechanisms: [SASLName]?
    /// Of the server as configured.
    package var host: String
    package var port: Int

    package init(_ relay: RelayConfiguration) {
        tls = relay.tls
        mechanisms = relay.login.map { $0.mechanism.map { [$0] } ?? SASLName.all(for: $0.secret.kind) }
        host = relay.host
        port = relay.port
    }
}

/// Names and addresses of this machine alone: what goes there is heard by nobody else.
package enum Loopback {
    package static func contains(_ host: String) -> Bool {
        // RFC 6761 §6.3.
        let name = host.lowercased()
        if name == "localhost" || name.hasSuffix(".localhost") { return true }
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 { return UInt32(bigEndian: four.s_addr) >> 24 == 127 }
        var six = in6_addr()
        guard inet_pton(AF_INET6, host, &six) == 1 else { return false }
        let bytes = withUnsafeBytes(of: &six) { Array($0) }
        return bytes == [UInt8](repeating: 0, count: 15) + [1]
            || bytes.prefix(13) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 127]
    }
}
