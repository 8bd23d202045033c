// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Systemd
import Testing

/// systemd's side of NOTIFY_SOCKET. Environment variables belong to the whole process, so each case has one of its own.
struct NoticeSocket {
    let descriptor: CInt

    /// Binds an abstract name and points NOTIFY_SOCKET at it.
    init() throws {
        descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var length = socklen_t(MemoryLayout<sa_family_t>.size)
        let (bound, named) = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                let bound = bind(descriptor, pointer, length)
                length = socklen_t(MemoryLayout<sockaddr_un>.size)
                return (bound, getsockname(descriptor, pointer, &length))
            }
        }
        try expect(bound == 0 && named == 0)
        let name = withUnsafeBytes(of: &address.sun_path) { path in
            String(decoding: path[1..<Int(length) - MemoryLayout<sa_family_t>.size], as: UTF8.self)
        }
        setenv("NOTIFY_SOCKET", "@\(name)", 1)
    }

    func receive() throws -> String {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &bytes, bytes.count, CInt(MSG_DONTWAIT))
        try expect(count > 0)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}

@Suite("sd_notify and the watchdog") struct NoticeTests {
    @Test("each notice says what sd_notify(3) wants")
    func notices() async {
        await #expect(processExitsWith: .success) {
            let systemd = try NoticeSocket()
            let notifier = Notifier()
            try expect(notifier.isHeard)
            notifier.ready(status: "8 workers")
            try expect(systemd.receive() == "READY=1\nSTATUS=8 workers")
            notifier.ready()
            try expect(systemd.receive() == "READY=1")
            notifier.status("one\nREADY=1")
            try expect(systemd.receive() == "STATUS=one READY=1")
            notifier.watchdog()
            try expect(systemd.receive() == "WATCHDOG=1")
            notifier.stopping(status: "draining")
            try expect(systemd.receive() == "STOPPING=1\nSTATUS=draining")
            notifier.extendTimeout(seconds: 12.5)
            try expect(systemd.receive() == "EXTEND_TIMEOUT_USEC=12500000")
            notifier.extendTimeout(seconds: -1, status: "half")
            try expect(systemd.receive() == "EXTEND_TIMEOUT_USEC=0\nSTATUS=half")
        }
    }

    @Test("a reload carries the monotonic time, so that systemd knows which request it answers")
    func reloading() async {
        await #expect(processExitsWith: .success) {
            let systemd = try NoticeSocket()
            let before = monotonicMicroseconds()
            Notifier().reloading()
            let lines = try systemd.receive().split(separator: "\n")
            try expect(lines.count == 2 && lines[0] == "RELOADING=1" && lines[1].hasPrefix("MONOTONIC_USEC="))
            let time = Int64(lines[1].dropFirst("MONOTONIC_USEC=".count)) ?? 0
            try expect((before...monotonicMicroseconds()).contains(time))
        }
    }

    @Test("without NOTIFY_SOCKET nothing happens")
    func unheard() async {
        await #expect(processExitsWith: .success) {
            unsetenv("NOTIFY_SOCKET")
            let notifier = Notifier()
            notifier.ready()
            notifier.watchdog()
            try expect(!notifier.isHeard)
        }
    }

    @Test("the watchdog's interval is read in microseconds and only where it is meant for this process")
    func watchdog() async {
        await #expect(processExitsWith: .success) {
            unsetenv("WATCHDOG_USEC")
            unsetenv("WATCHDOG_PID")
            try expect(WatchdogInterval.seconds() == nil)
            setenv("WATCHDOG_USEC", "30000000", 1)
            try expect(WatchdogInterval.seconds() == 30)
            setenv("WATCHDOG_PID", "\(getpid())", 1)
            try expect(WatchdogInterval.seconds() == 30)
            setenv("WATCHDOG_PID", "1", 1)
            try expect(WatchdogInterval.seconds() == nil)
            unsetenv("WATCHDOG_PID")
            for nonsense in ["", "x", "0", "-5"] {
                setenv("WATCHDOG_USEC", nonsense, 1)
                try expect(WatchdogInterval.seconds() == nil)
            }
        }
    }
}

func monotonicMicroseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
}
