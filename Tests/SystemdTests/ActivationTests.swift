// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Systemd
import Testing

/// Descriptors 3 and up are what systemd hands over, so each case runs in a process of its own.
@Suite("Inherited sockets") struct ActivationTests {
    @Test("none where the daemon was started by hand")
    func none() async {
        await #expect(processExitsWith: .success) {
            for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] { unsetenv(name) }
            var sockets = try ActivatedSockets.inherited()
            try expect(sockets.unclaimed.isEmpty)
            try expect(sockets.take("submit", .unix).isEmpty)
        }
    }

    @Test("named sockets are handed out once, close-on-exec, and the variables are gone")
    func named() async {
        await #expect(processExitsWith: .success) {
            try hand(over: [listening(AF_UNIX), listening(AF_INET), listening(AF_UNIX)], names: "submit:metrics:other")
            var sockets = try ActivatedSockets.inherited()
            try expect(sockets.unclaimed.map(\.name) == ["submit", "metrics", "other"])
            try expect(sockets.take("metrics", .any) == [4])
            try expect(sockets.take("submit", .unix) == [3])
            try expect(sockets.take("submit", .unix) == [])
            try expect(sockets.unclaimed.map(\.descriptor) == [5])
            try expect(fcntl(3, F_GETFD) & FD_CLOEXEC != 0)
            try expect(getenv("LISTEN_FDS") == nil && getenv("LISTEN_PID") == nil && getenv("LISTEN_FDNAMES") == nil)
            try expect(ActivatedSockets.inherited().unclaimed.isEmpty)
        }
    }

    @Test("two sockets may have one name")
    func twins() async {
        await #expect(processExitsWith: .success) {
            try hand(over: [listening(AF_INET), listening(AF_INET6)], names: "metrics:metrics")
            var sockets = try ActivatedSockets.inherited()
            try expect(sockets.take("metrics", .any) == [3, 4])
        }
    }

    @Test("variables meant for another process are not ours")
    func otherProcess() async {
        await #expect(processExitsWith: .success) {
            try hand(over: [listening(AF_UNIX)], names: "submit")
            setenv("LISTEN_PID", "1", 1)
            try expect(ActivatedSockets.inherited().unclaimed.isEmpty)
        }
    }

    @Test("a socket of the wrong family, a connected one, a datagram one and a file are refused by name")
    func wrong() async {
        await #expect(processExitsWith: .success) {
            var pair: [CInt] = [0, 0]
            try expect(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair) == 0)
            let datagram = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0)
            let file = open("/dev/null", O_RDONLY)
            try hand(over: [listening(AF_INET), pair[0], datagram, file], names: "family:pair:datagram:file")
            var sockets = try ActivatedSockets.inherited()
            for (name, descriptor) in [("family", 3), ("pair", 4), ("datagram", 5), ("file", 6)] {
                do {
                    _ = try sockets.take(name, .unix)
                    try expect(false)
                } catch let error as ActivationError {
                    let wanted = """
                        inherited socket "\(name)" (descriptor \(descriptor)) is not a listening Unix stream socket
                        """
                    try expect(error.description == wanted)
                }
            }
            try expect(sockets.unclaimed.count == 4)
        }
    }

    @Test("a count that is none is an error", arguments: ["x", "-1", "99999999999999999999"])
    func badCount(count: String) async {
        await #expect(processExitsWith: .success) { [count] in
            setenv("LISTEN_PID", "\(getpid())", 1)
            setenv("LISTEN_FDS", count, 1)
            do {
                _ = try ActivatedSockets.inherited()
                try expect(false)
            } catch let error as ActivationError {
                try expect(error.description.hasPrefix("LISTEN_FDS: "))
            }
        }
    }
}

struct Unexpected: Error {}

/// In a process of its own what is thrown counts as failure.
func expect(_ holds: Bool) throws { if !holds { throw Unexpected() } }

/// A listening stream socket on an address of the kernel's choice.
func listening(_ family: CInt) -> CInt {
    let descriptor = socket(family, CInt(SOCK_STREAM.rawValue), 0)
    if family == AF_UNIX {
        // With no more than the family, Linux gives an abstract name (unix(7), autobind).
        var address = sockaddr(sa_family: sa_family_t(AF_UNIX), sa_data: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        bind(descriptor, &address, socklen_t(MemoryLayout<sa_family_t>.size))
    }
    listen(descriptor, 1)
    return descriptor
}

/// Puts the descriptors at 3 and up, as systemd does, and sets the variables.
func hand(over descriptors: [CInt], names: String) throws {
    let aside = descriptors.map { fcntl($0, F_DUPFD, 100) }
    for (index, descriptor) in aside.enumerated() { try expect(dup2(descriptor, 3 + CInt(index)) == 3 + CInt(index)) }
    setenv("LISTEN_PID", "\(getpid())", 1)
    setenv("LISTEN_FDS", "\(descriptors.count)", 1)
    setenv("LISTEN_FDNAMES", names, 1)
}
