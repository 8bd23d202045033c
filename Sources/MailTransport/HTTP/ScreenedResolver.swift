// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Finds a name's addresses as the system does (hosts file, DNS), on threads of its own, and hands on only those that
/// the policy lets pass: a connection is made to none that was not looked at.
final class ScreenedResolver: Resolver, Sendable {
    private let loop: any EventLoop
    private let policy: AddressPolicy
    private let threads: NIOThreadPool

    init(_ policy: AddressPolicy, loop: any EventLoop, threads: NIOThreadPool) {
        self.policy = policy
        self.loop = loop
        self.threads = threads
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { query(host, port, AF_INET) }
    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { query(host, port, AF_INET6) }

    /// The system's resolver cannot be told to stop; what it finds too late nobody hears.
    func cancelQueries() {}

    private func query(_ host: String, _ port: Int, _ family: CInt) -> EventLoopFuture<[SocketAddress]> {
        threads.runIfActive(eventLoop: loop) { [policy] in
            let found = try Self.addresses(host, port, family)
            let allowed = found.filter { policy.refusal(of: $0) == nil }
            if allowed.isEmpty, let first = found.first, let reason = policy.refusal(of: first) {
                throw ForbiddenAddress(reason: reason)
            }
            return allowed
        }
    }

    /// None where the name has none of this family.
    private static func addresses(_ host: String, _ port: Int, _ family: CInt) throws -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_family = family
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        hints.ai_protocol = CInt(IPPROTO_TCP)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else { throw UnknownName(host: host, reason: String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            if let address = address(entry, host) { addresses.append(address) }
            next = entry.ai_next
        }
        return addresses
    }

    private static func address(_ entry: addrinfo, _ host: String) -> SocketAddress? {
        let pointer = UnsafeRawPointer(entry.ai_addr)
        switch entry.ai_family {
        case AF_INET: return pointer.map { SocketAddress($0.loadUnaligned(as: sockaddr_in.self), host: host) }
        case AF_INET6: return pointer.map { SocketAddress($0.loadUnaligned(as: sockaddr_in6.self), host: host) }
        default: return nil
        }
    }
}

/// Every address of the name is one that the policy refuses.
struct ForbiddenAddress: Error, CustomStringConvertible {
    let reason: String
    var description: String { reason }
}

struct UnknownName: Error, CustomStringConvertible {
    let host: String
    let reason: String
    var description: String { "\(host): \(reason)" }
}
