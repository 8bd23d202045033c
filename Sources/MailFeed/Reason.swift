// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore
import NIOPosix
import NIOSSL

/// The system's words for why no connection came about, or why it broke.
package enum Reason {
    package static func of(_ error: any Error) -> String {
        switch error {
        case let error as IOError: text(error.errnoCode)
        case let error as NIOConnectionError: of(error)
        case ChannelError.connectTimeout(let time): "no answer within \(time.nanoseconds / 1_000_000_000) s"
        case ChannelError.eof, ChannelError.alreadyClosed, ChannelError.ioOnClosedChannel: "the server closed it"
        case let error as SocketAddressError.UnknownHost: error.errorDescription
        case NIOSSLError.handshakeFailed(let cause): "TLS: \(words(cause))"
        case NIOSSLError.uncleanShutdown: "the server closed it"
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            "TLS: its certificate is for others"
        default: words(error)
        }
    }

    private static func of(_ error: NIOConnectionError) -> String {
        if let failure = error.connectionErrors.last { return of(failure.error) }
        if let failure = error.dnsAError ?? error.dnsAAAAError { return of(failure) }
        return "the name has no address"
    }

    /// BoringSSL's reason is the last part of `…:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at …`.
    private static func words(_ error: any Error) -> String {
        guard let reason = "\(error)".split(separator: "OPENSSL_internal:").last?.split(separator: " at ").first,
            reason.count < "\(error)".count
        else { return "\(error)" }
        return reason.lowercased().split(separator: "_").joined(separator: " ")
    }

    package static func text(_ code: CInt) -> String { strerror(code).map { String(cString: $0) } ?? "error \(code)" }
}
