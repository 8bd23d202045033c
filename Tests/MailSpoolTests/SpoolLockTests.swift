// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import MailSpool
import Testing

@Suite(.timeLimit(.minutes(1)))
struct SpoolLockTests {
    static func open(_ shelf: Shelf) throws(SpoolError) -> SQLiteKeeping {
        try SQLiteKeeping(path: shelf.path, kinds: Shelf.kinds)
    }

    @Test("a spool in use is refused with the name of who has it, until it is closed")
    func refused() throws {
        let shelf = try Shelf(.sqlite)
        let first = try Self.open(shelf)
        let inUse = SpoolError.unwritable(message: "\(shelf.path) is in use by another maild (pid \(getpid()))")
        for _ in 0..<3 { #expect(throws: inUse) { try Self.open(shelf) } }
        first.close()
        let second = try Self.open(shelf)
        #expect(throws: inUse) { try Self.open(shelf) }
        second.close()
    }

    @Test("a keeping that is dropped without a close gives the lock back")
    func dropped() throws {
        let shelf = try Shelf(.sqlite)
        for _ in 0..<3 { _ = try Self.open(shelf) }
        try Self.open(shelf).close()
    }

    @Test("the lock says who has it even after a longer number, and a lock without a number still refuses")
    func contents() throws {
        let shelf = try Shelf(.sqlite)
        let lock = shelf.path + ".lock"
        try TemporaryDirectory.write(Array("99999999999\n".utf8), to: lock)
        let keeping = try Self.open(shelf)
        #expect(TemporaryDirectory.read(lock) == Array("\(getpid())\n".utf8))
        for text in ["", "\n", "nonsense", "\u{0}\u{0}", "999999999999999999999999999999999"] {
            try TemporaryDirectory.write(Array(text.utf8), to: lock)
            #expect(throws: SpoolError.unwritable(message: "\(shelf.path) is in use by another maild")) {
                try Self.open(shelf)
            }
        }
        keeping.close()
    }

    @Test("programs that the daemon starts do not inherit the lock")
    func closedOnExec() throws {
        let shelf = try Shelf(.sqlite)
        let keeping = try Self.open(shelf)
        defer { keeping.close() }
        var found: [CInt] = []
        for descriptor in 0..<CInt(16_384) {
            var target = [CChar](repeating: 0, count: 4096)
            let count = readlink("/proc/self/fd/\(descriptor)", &target, target.count)
            let name = String(decoding: target.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
            if name.hasSuffix(shelf.path + ".lock") { found.append(descriptor) }
        }
        #expect(found.count == 1)
        #expect(found.allSatisfy { fcntl($0, F_GETFD) & FD_CLOEXEC != 0 })
    }

    @Test("a second opener does not disturb the first")
    func undisturbed() async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append([Draft(), Draft()]).keptIDs
        #expect(throws: SpoolError.self) { try Self.open(stage.shelf) }
        #expect(try await stage.append([Draft()]).refusals.isEmpty)
        try stage.reopen()
        #expect(try await stage.list().map(\.id).starts(with: ids))
    }
}
