// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore

/// Who is at the other end of a Unix socket, as the kernel saw it at connect(2): unix(7), SO_PEERCRED.
package struct PeerCredential: Equatable, Sendable {
    package var uid: UInt32
    /// The primary group first.
    package var groups: [UInt32]

    /// The kernel's overflow user where it cannot be known, as in a socket that is none of Unix's.
    package static let nobody = PeerCredential(uid: 65534, groups: [65534])

    package init(uid: UInt32, groups: [UInt32]) {
        self.uid = uid
        self.groups = groups
    }

    /// `struct ucred`, which glibc shows only to _GNU_SOURCE.
    private struct Raw {
        var pid: Int32 = 0
        var uid = UInt32.max
        var gid = UInt32.max
    }

    /// - Parameter all: with the groups beside the primary one, which takes a second call.
    package init(descriptor: CInt, allGroups all: Bool) {
        var raw = Raw()
        var length = socklen_t(MemoryLayout<Raw>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &raw, &length) == 0, raw.uid != .max else {
            self = .nobody
            return
        }
        self.init(uid: raw.uid, groups: [raw.gid] + (all ? Self.others(descriptor) : []))
    }

    /// NGROUPS_MAX of Linux.
    private static let groupsMax = 65536

    private static func others(_ descriptor: CInt) -> [UInt32] {
        var count = 32
        while count <= groupsMax {
            var groups = [UInt32](repeating: 0, count: count)
            var length = socklen_t(count * MemoryLayout<UInt32>.size)
            let result = getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, &groups, &length)
            let found = Int(length) / MemoryLayout<UInt32>.size
            if result == 0 { return Array(groups.prefix(found)) }
            // ERANGE tells how many there are.
            guard errno == ERANGE, found > count else { return [] }
            count = found
        }
        return []
    }

    /// On the channel's loop.
    package static func of(_ channel: any Channel, allGroups: Bool) -> PeerCredential {
        let found = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self) { descriptor in
            PeerCredential(descriptor: descriptor, allGroups: allGroups)
        }
        return (found ?? nil) ?? .nobody
    }
}
