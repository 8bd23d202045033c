// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What a system call on a path said.
package struct MaildirError: Error, Equatable, CustomStringConvertible {
    /// errno.
    package let code: CInt
    package let path: String

    package var description: String { "\(path): \(strerror(code).map { String(cString: $0) } ?? "error \(code)")" }

    /// RFC 3463 §3.4: X.3.1 is "mail system full", X.3.0 any other trouble of the system. Never the mail's fault.
    var reply: Reply {
        code == ENOSPC || code == EDQUOT ? Reply(452, "4.3.1", description) : Reply(451, "4.3.0", description)
    }
}

/// The system calls of a delivery, each of which may fail; tests make it fail by `fault`.
package struct MaildirFiles: Sendable {
    package enum Call: Sendable { case makeDirectory, open, write, sync, rename, openDirectory, syncDirectory }

    /// An errno for the call, or nil to let it happen.
    let fault: @Sendable (Call) -> CInt?

    package init(fault: @escaping @Sendable (Call) -> CInt? = { _ in nil }) { self.fault = fault }

    func makeDirectory(_ path: String) throws(MaildirError) {
        do {
            _ = try attempt(.makeDirectory, path) { mkdir(path, 0o700) }
        } catch  where error.code == EEXIST {
            // As it should be.
        }
    }

    /// Writes a file for us alone, and waits until the disk has it. One that is there already is written anew.
    func store(_ pieces: [ByteBuffer], in path: String) throws(MaildirError) {
        let file = try attempt(.open, path) { open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600) }
        defer { close(file) }
        for piece in pieces { try store(piece, in: file, path) }
        _ = try attempt(.sync, path) { fsync(file) }
    }

    private func store(_ piece: ByteBuffer, in file: CInt, _ path: String) throws(MaildirError) {
        var rest = piece
        while rest.readableBytes > 0 {
            let count = try attempt(.write, path) {
                CInt(rest.withUnsafeReadableBytes { write(file, $0.baseAddress, min($0.count, 1 << 20)) })
            }
            rest.moveReaderIndex(forwardBy: Int(count))
        }
    }

    func move(_ path: String, to target: String) throws(MaildirError) {
        _ = try attempt(.rename, target) { rename(path, target) }
    }

    /// Makes the directory's entries durable.
    func syncDirectory(_ path: String) throws(MaildirError) {
        let directory = try attempt(.openDirectory, path) { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(directory) }
        _ = try attempt(.syncDirectory, path) { fsync(directory) }
    }

    /// `body` answers a negative number for "see errno".
    private func attempt(_ call: Call, _ path: String, _ body: () -> CInt) throws(MaildirError) -> CInt {
        if let code = fault(call) { throw MaildirError(code: code, path: path) }
        while true {
            let result = body()
            if result >= 0 { return result }
            if errno != EINTR { throw MaildirError(code: errno, path: path) }
        }
    }
}
