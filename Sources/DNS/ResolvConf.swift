// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The name servers of resolv.conf(5), read again when the file has changed: at boot it is often written after our
/// start.
struct ResolvConf {
    static let path = "/etc/resolv.conf"
    /// MAXNS of resolv.conf(5).
    private static let serversMax = 3
    private static let bytesMax = 64 << 10

    private struct Stamp: Equatable {
        var seconds = 0
        var nanoseconds = 0
        var inode: UInt = 0
        var size = 0
    }

    private let path: String
    private var stamp: Stamp?
    private(set) var servers: [NameServer]

    init(path: String = ResolvConf.path) {
        self.path = path
        stamp = Self.stamp(path)
        servers = Self.servers(in: Self.text(path))
    }

    /// True where there are other servers now.
    mutating func refresh() -> Bool {
        let current = Self.stamp(path)
        guard current != stamp else { return false }
        stamp = current
        let before = servers
        servers = Self.servers(in: Self.text(path))
        return servers != before
    }

    static func servers(in text: String) -> [NameServer] {
        var servers: [NameServer] = []
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count > 1, words[0] == "nameserver", let server = NameServer(String(words[1])) else { continue }
            if servers.count < serversMax { servers.append(server) }
        }
        // resolv.conf(5): without an entry the name server is on this machine.
        return servers.isEmpty ? [NameServer("127.0.0.1")].compactMap { $0 } : servers
    }

    private static func stamp(_ path: String) -> Stamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Stamp(
            seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec, inode: status.st_ino,
            size: Int(status.st_size))
    }

    private static func text(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        let count = read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
