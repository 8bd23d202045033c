// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Opens a channel to a relay. Tests bring their own.
package struct Connector {
    /// The channel is of the given loop, connected, and reads nothing until `autoRead` is set.
    package var open: (RelayConfiguration, any EventLoop) -> EventLoopFuture<any Channel>

    package init(open: @escaping (RelayConfiguration, any EventLoop) -> EventLoopFuture<any Channel>) {
        self.open = open
    }

    /// Over TCP, trying the host's IPv6 and IPv4 addresses as RFC 8305 has it, or to a Unix socket.
    /// - Parameter resolver: nil: the system's, which has a thread of its own.
    package static func system(resolver: (any Resolver & Sendable)? = nil) -> Connector {
        Connector { open($0, $1, resolver) }
    }

    private static func open(
        _ relay: RelayConfiguration, _ loop: any EventLoop, _ resolver: (any Resolver & Sendable)?
    ) -> EventLoopFuture<any Channel> {
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.seconds(Int64(relay.connectSecondsMax)))
            .channelOption(.autoRead, value: false)
        if let socket = relay.socket { return bootstrap.connect(unixDomainSocketPath: socket) }
        bootstrap = bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1).resolver(resolver)
        if let address = try? SocketAddress(ipAddress: relay.host, port: relay.port) {
            return bootstrap.connect(to: address)
        }
        return bootstrap.connect(host: relay.host, port: relay.port)
    }

    /// The system's words for why no connection came about, or why it broke.
    package static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: errorText(error.errnoCode)
        case let error as NIOConnectionError: reason(error)
        case ChannelError.connectTimeout(let time): "no answer within \(time.nanoseconds / 1_000_000_000) s"
        case ChannelError.eof, ChannelError.alreadyClosed, ChannelError.ioOnClosedChannel: "the server closed it"
        case let error as SocketAddressError.UnknownHost: error.errorDescription
        default: "\(error)"
        }
    }

    private static func reason(_ error: NIOConnectionError) -> String {
        if let failure = error.connectionErrors.last { return reason(failure.error) }
        if let failure = error.dnsAError ?? error.dnsAAAAError { return reason(failure) }
        return "the name has no address"
    }

    static func errorText(_ code: CInt) -> String {
        strerror(code).map { String(cString: $0) } ?? "error \(code)"
    }
}
