// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A connection to one of maild's sockets. Never blocks but in `init` and `wait`; closed when it goes out of scope.
struct UnixStream: ~Copyable {
    let descriptor: Int32

    /// Where the kernel's queue of new connections is full, a connection waits so long for its place.
    static let connectSecondsMax = 30

    init(connectingTo path: String, door: Door) throws(Failure) {
        descriptor = try Self.connected(path, door)
    }

    deinit { close(descriptor) }

    private static func connected(_ path: String, _ door: Door) throws(Failure) -> Int32 {
        var address = try Self.address(path, door)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system(.software, "cannot open a socket", errno) }
        var patience = timeval(tv_sec: connectSecondsMax, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connectAgain(descriptor, $0) }
        }
        guard status == 0 else {
            close(descriptor)
            throw refusal(status, path, door)
        }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        return descriptor
    }

    private static func connectAgain(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>) -> Int32 {
        while connect(descriptor, address, socklen_t(MemoryLayout<sockaddr_un>.size)) != 0 {
            if errno != EINTR { return errno }
        }
        return 0
    }

    private static func address(_ path: String, _ door: Door) throws(Failure) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path) - 1
        let bytes = Array(path.utf8)
        guard bytes.count <= room, !bytes.isEmpty, !bytes.contains(0) else {
            throw Failure(.usage, "\(door.option): a socket's path has 1 to \(room) bytes, this one \(bytes.count)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }

    private static func refusal(_ code: Int32, _ path: String, _ door: Door) -> Failure {
        let path = Printable.text(path)
        let reason = SystemReason.text(code)
        switch code {
        case EACCES, EPERM:
            return Failure(
                .noPermission,
                "\(path): \(reason): \(door.purpose) needs membership in the group \(door.group) "
                    + "(usermod -aG \(door.group) USER, then log in again) or root")
        case ENOENT, ENOTDIR, ECONNREFUSED, EPROTOTYPE:
            return Failure(
                .unavailable,
                "no maild at \(path): \(reason): see `systemctl status maild.socket`, "
                    + "or is the path right (\(door.option), \(door.variable))?")
        case EAGAIN:
            return Failure(
                .tryAgain, "\(path): maild took no new connection for \(connectSecondsMax) s: try again later")
        default:
            return .system(.inputOutput, "cannot connect to \(path)", code)
        }
    }

    enum Transfer: Equatable {
        case bytes(Int)
        /// Nothing to be had for now.
        case later
        /// The other side has closed, in order or not.
        case closed
        case failed(Int32)
    }

    func receive(_ room: UnsafeMutableRawBufferPointer) -> Transfer {
        let count = recv(descriptor, room.baseAddress, room.count, 0)
        return count == 0 ? .closed : Self.transfer(count)
    }

    /// - Parameter files: descriptors that go with the first of the bytes (unix(7), SCM_RIGHTS).
    func send(_ bytes: UnsafeRawBufferPointer, passing files: [Int32] = []) -> Transfer {
        guard files.isEmpty else { return Self.transfer(sendMessage(bytes, files)) }
        return Self.transfer(sendto(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL), nil, 0))
    }

    private func sendMessage(_ bytes: UnsafeRawBufferPointer, _ files: [Int32]) -> Int {
        // cmsg(3), whose macros Swift does not see: a head, the numbers, and what is missing to a multiple of 8.
        let head = MemoryLayout<cmsghdr>.size
        let length = head + files.count * MemoryLayout<Int32>.size
        var header = cmsghdr()
        header.cmsg_len = numericCast(length)
        header.cmsg_level = SOL_SOCKET
        header.cmsg_type = numericCast(SCM_RIGHTS)
        return withUnsafeTemporaryAllocation(byteCount: (length + 7) & ~7, alignment: 16) { control in
            control.initializeMemory(as: UInt8.self, repeating: 0)
            control.storeBytes(of: header, as: cmsghdr.self)
            files.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: control[head...]).copyMemory(from: $0) }
            var part = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
            return withUnsafeMutablePointer(to: &part) { part in
                var message = msghdr()
                message.msg_iov = part
                message.msg_iovlen = 1
                message.msg_control = control.baseAddress
                message.msg_controllen = numericCast(control.count)
                return sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
            }
        }
    }

    private static func transfer(_ count: Int) -> Transfer {
        if count >= 0 { return .bytes(count) }
        switch errno {
        case EAGAIN, EINTR: return .later
        case EPIPE, ECONNRESET: return .closed
        default: return .failed(errno)
        }
    }

    /// Says that nothing more will be written; answers still arrive.
    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// False where nothing happened in `seconds`; nil waits however long it takes.
    func wait(for events: Int32, seconds: Double?) -> Bool {
        var interest = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        let milliseconds = seconds.map { min(max(0, $0) * 1000 + 0.5, Double(Int32.max)) }
        return poll(&interest, 1, milliseconds.map { Int32($0) } ?? -1) != 0
    }
}
