// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailConfiguration
import Systemd

/// The three sockets: systemd's where it handed some over, else opened here from the configuration.
struct ListeningSockets {
    var submit: [CInt]
    var control: [CInt]
    var metrics: [CInt]
    /// Not inherited and wanted: the metrics server binds it.
    var metricsAddress: HostPort?
    /// Paths opened here, to be removed at the end; systemd's own stay.
    private var own: [String] = []

    static func open(_ configured: Configuration.Sockets) throws(DaemonFailure) -> ListeningSockets {
        var sockets: ListeningSockets
        do throws(ActivationError) {
            var inherited = try ActivatedSockets.inherited()
            sockets = ListeningSockets(
                submit: try inherited.take("submit", .unix), control: try inherited.take("control", .unix),
                metrics: try inherited.take("metrics", .any))
        } catch {
            throw .system(error.description)
        }
        try sockets.openMissing(configured)
        return sockets
    }

    private init(submit: [CInt], control: [CInt], metrics: [CInt]) {
        self.submit = submit
        self.control = control
        self.metrics = metrics
    }

    private mutating func openMissing(_ configured: Configuration.Sockets) throws(DaemonFailure) {
        if submit.isEmpty { submit = [try listen(configured.submit, mode: 0o660)] }
        if control.isEmpty { control = [try listen(configured.control, mode: 0o660)] }
        if metrics.isEmpty { metricsAddress = configured.metrics }
    }

    /// Removes the socket files made here, so that nobody takes them for a daemon that lives.
    func removeOwn() {
        for path in own { unlink(path) }
    }

    private mutating func listen(_ path: String, mode: mode_t) throws(DaemonFailure) -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system("socket \(path): \(Self.reason())") }
        var address = try UnixAddress(path)
        try Self.clear(path, &address)
        // Nobody may connect before the mode is set.
        let before = umask(0o777 & ~mode)
        defer { umask(before) }
        guard address.withPointer({ bind(descriptor, $0, $1) }) == 0 else {
            throw .system("cannot bind \(path): \(Self.reason())")
        }
        guard Glibc.listen(descriptor, Self.backlog) == 0 else {
            throw .system("cannot listen on \(path): \(Self.reason())")
        }
        own.append(path)
        return descriptor
    }

    private static let backlog: CInt = 4096

    /// Removes a socket that a dead daemon left; one that answers belongs to somebody who lives.
    private static func clear(_ path: String, _ address: inout UnixAddress) throws(DaemonFailure) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .system("\(path) is in the way and is no socket") }
        let probe = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        defer { close(probe) }
        let result = address.withPointer { connect(probe, $0, $1) }
        guard result != 0, errno == ECONNREFUSED else { throw .system("another daemon listens on \(path)") }
        unlink(path)
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}

/// A Unix socket's path as the kernel wants it; 107 bytes at most (unix(7)).
struct UnixAddress {
    private var address = sockaddr_un()

    init(_ path: String) throws(DaemonFailure) {
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path) - 1
        guard bytes.count <= room else {
            throw .system("\(path): a socket's path has at most \(room) bytes, this one has \(bytes.count)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    }

    mutating func withPointer(_ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
