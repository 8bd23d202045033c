// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore

/// Who is at the other end of a Unix socket, as the kernel saw it at connect(2): unix(7), SO_PEERCRED.
///
/// Laid out as `struct ucred`, which glibc shows only to _GNU_SOURCE.
package struct PeerCredential: Sendable {
    package var pid: Int32 = 0
    package var uid: UInt32 = UInt32.max
    package var gid: UInt32 = UInt32.max

    /// The kernel's overflow user where it cannot be known, as in a socket that is none of Unix's.
    package static let nobody = PeerCredential(pid: 0, uid: 65534, gid: 65534)

    package static func of(_ channel: any Channel) -> EventLoopFuture<PeerCredential> {
        guard let socket = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeSucceededFuture(.nobody)
        }
        let option: EventLoopFuture<PeerCredential> = socket.unsafeGetSocketOption(
            level: .init(SOL_SOCKET), name: .init(SO_PEERCRED))
        return option.flatMapErrorThrowing { _ in .nobody }
    }
}
