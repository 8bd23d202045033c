// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Finds out whether any name server says anything: one small question to each, twice, over UDP.
///
/// SERVFAIL may mean that a domain is broken or that nobody is there to be asked; libunbound does not tell them apart.
struct NameServerProbe {
    /// Of the whole.
    private static let secondsMax = 3.0
    /// Then once more: a packet may get lost.
    private static let repeatSeconds = 1.0
    /// A result is as good as a new one for so long.
    private static let keptSeconds = 2.0

    var servers: [NameServer]
    private var waiting: [@Sendable (ServerCheck) -> Void] = []
    private var sockets: [CInt] = []
    private var isRunning = false
    private var startedAt = 0.0
    private var hasRepeated = false
    private var last: (isAnswered: Bool, at: Double)?

    init(_ servers: [NameServer]) { self.servers = servers }

    var descriptors: [CInt] { sockets }

    /// Monotonic seconds at which `advance` has something to do; nil while nothing is under way.
    var alarm: Double? {
        guard isRunning else { return nil }
        return startedAt + (hasRepeated ? Self.secondsMax : Self.repeatSeconds)
    }

    mutating func add(_ done: @escaping @Sendable (ServerCheck) -> Void, at now: Double) {
        if let last, now - last.at < Self.keptSeconds {
            return done(ServerCheck(isAnswered: last.isAnswered, servers: names))
        }
        waiting.append(done)
        begin(at: now)
    }

    /// For nobody in particular, unless it is under way.
    mutating func begin(at now: Double) {
        guard !isRunning else { return }
        isRunning = true
        startedAt = now
        hasRepeated = false
        sockets = servers.compactMap(Self.connect)
        for socket in sockets { Self.send(socket) }
    }

    /// Whether somebody answered, once that is known.
    mutating func advance(at now: Double) -> Bool? {
        guard isRunning else { return nil }
        for socket in sockets {
            if receive(socket) { return finish(true, at: now) }
        }
        if sockets.isEmpty || now >= startedAt + Self.secondsMax { return finish(false, at: now) }
        if !hasRepeated, now >= startedAt + Self.repeatSeconds {
            hasRepeated = true
            for socket in sockets { Self.send(socket) }
        }
        return nil
    }

    mutating func end() {
        if isRunning { _ = finish(true, at: 0) }
    }

    private mutating func finish(_ isAnswered: Bool, at now: Double) -> Bool {
        for socket in sockets { close(socket) }
        sockets = []
        isRunning = false
        last = (isAnswered, now)
        let answered = waiting
        waiting = []
        for done in answered { done(ServerCheck(isAnswered: isAnswered, servers: names)) }
        return isAnswered
    }

    private var names: String { servers.map(\.description).joined(separator: ", ") }

    // MARK: Sockets

    /// RFC 1035 §4.1: number, "recursion desired", one question: the root's NS.
    private static let query: [UInt8] = [
        0x6D, 0x61, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1,
    ]

    private static func send(_ socket: CInt) { _ = Glibc.send(socket, query, query.count, 0) }

    /// Any reply to our question will do. A socket whose server is not there tells so, and is asked no more.
    private mutating func receive(_ socket: CInt) -> Bool {
        var reply = [UInt8](repeating: 0, count: 512)
        let count = recv(socket, &reply, reply.count, 0)
        if count >= 12 { return reply[0] == Self.query[0] && reply[1] == Self.query[1] && reply[2] & 0x80 != 0 }
        if count < 0, errno != EAGAIN, errno != EINTR {
            close(socket)
            sockets.removeAll { $0 == socket }
        }
        return false
    }

    /// nil where there is no way to the server.
    private static func connect(_ server: NameServer) -> CInt? {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(server.address.isIPv6 ? AF_INET6 : AF_INET, type, 0)
        guard descriptor >= 0 else { return nil }
        let status = server.address.isIPv6 ? connect6(descriptor, server) : connect4(descriptor, server)
        if status != 0 { close(descriptor) }
        return status == 0 ? descriptor : nil
    }

    private static func connect4(_ descriptor: CInt, _ server: NameServer) -> CInt {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = server.port.bigEndian
        withUnsafeMutableBytes(of: &address.sin_addr) { $0.copyBytes(from: server.address.bytes) }
        return connect(descriptor, &address, MemoryLayout<sockaddr_in>.size)
    }

    private static func connect6(_ descriptor: CInt, _ server: NameServer) -> CInt {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = server.port.bigEndian
        address.sin6_scope_id = server.zone.map { if_nametoindex($0) } ?? 0
        withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: server.address.bytes) }
        return connect(descriptor, &address, MemoryLayout<sockaddr_in6>.size)
    }

    private static func connect<Address>(_ descriptor: CInt, _ address: inout Address, _ size: Int) -> CInt {
        withUnsafeBytes(of: &address) { bytes in
            guard let base = bytes.baseAddress else { return -1 }
            return Glibc.connect(descriptor, base.assumingMemoryBound(to: sockaddr.self), socklen_t(size))
        }
    }
}
