// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CSystemd
import Glibc

/// What systemd handed over is not what the daemon was told to expect.
package struct ActivationError: Error, Equatable, CustomStringConvertible {
    package let description: String
}

/// The sockets that were opened before us: by systemd (or systemd-socket-activate), inherited as descriptors 3 and up,
/// each with the name of its `FileDescriptorName=`.
///
/// To be asked once, before other threads run: the environment variables are removed so that no child mistakes
/// them for its own. A descriptor that nobody takes stays open and is listed in `unclaimed`.
package struct ActivatedSockets: Sendable {
    package struct Socket: Equatable, Sendable {
        package let name: String
        package let descriptor: CInt
    }

    package enum Family: Sendable {
        case unix
        /// Unix, IPv4 or IPv6.
        case any

        fileprivate var numbers: [CInt] {
            switch self {
            case .unix: [AF_UNIX]
            case .any: [AF_UNIX, AF_INET, AF_INET6]
            }
        }

        fileprivate var wanted: String {
            switch self {
            case .unix: "a listening Unix stream socket"
            case .any: "a listening stream socket"
            }
        }
    }

    package private(set) var unclaimed: [Socket]

    /// Empty where the daemon was started by hand. Close-on-exec is set on each descriptor.
    package static func inherited() throws(ActivationError) -> ActivatedSockets {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &names)
        defer { free(names) }
        guard count >= 0 else {
            throw ActivationError(description: "LISTEN_FDS: \(String(cString: strerror(-count)))")
        }
        var sockets: [Socket] = []
        for index in 0..<count {
            let name = names?[Int(index)]
            sockets.append(Socket(name: name.map { String(cString: $0) } ?? "", descriptor: 3 + index))
            free(name)
        }
        return ActivatedSockets(unclaimed: sockets)
    }

    /// All listening stream sockets of that name (a socket unit may have several addresses), none where it has none.
    package mutating func take(_ name: String, _ family: Family) throws(ActivationError) -> [CInt] {
        let found = unclaimed.filter { $0.name == name }
        for socket in found { try Self.check(socket, family) }
        unclaimed.removeAll { $0.name == name }
        return found.map(\.descriptor)
    }

    /// A socket unit with `Accept=yes`, a datagram socket or a FIFO would otherwise fail much later, and obscurely.
    private static func check(_ socket: Socket, _ family: Family) throws(ActivationError) {
        let stream = CInt(SOCK_STREAM.rawValue)
        guard family.numbers.contains(where: { sd_is_socket(socket.descriptor, $0, stream, 1) > 0 }) else {
            throw ActivationError(
                description:
                    "inherited socket \"\(socket.name)\" (descriptor \(socket.descriptor)) is not \(family.wanted)")
        }
    }
}
