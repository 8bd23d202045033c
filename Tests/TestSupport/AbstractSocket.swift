// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A Unix socket in the abstract namespace (unix(7)): its name leaves no file behind.
package struct AbstractSocket: Sendable {
    package struct Failed: Error {
        package var call: String
        package var code = errno
    }

    private let name: String

    package init(_ name: String) { self.name = name }

    /// Returns a listening descriptor, which the caller owns.
    package func listen(backlog: CInt = 128) throws -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        guard address({ bind(descriptor, $0, $1) }) == 0 else { throw Failed(call: "bind") }
        guard Glibc.listen(descriptor, backlog) == 0 else { throw Failed(call: "listen") }
        return descriptor
    }

    /// Returns a connected descriptor, which the caller owns.
    package func connected() throws -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        guard address({ connect(descriptor, $0, $1) }) == 0 else { throw Failed(call: "connect") }
        return descriptor
    }

    private func address(_ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.dropFirst().copyBytes(from: name.utf8) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + 1 + name.utf8.count)
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}
