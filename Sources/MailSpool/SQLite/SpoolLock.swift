// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// One daemon a spool: two would give the same ids and deliver the same jobs.
///
/// flock(2) on a file beside the spool, because SQLite's own locks are held only during a transaction. The kernel takes
/// the lock back however its holder ends. The file stays: removing it would let two hold locks on files of one name.
final class SpoolLock {
    private var descriptor: CInt

    /// Throws `unwritable` where another daemon has the spool at `path` open, or the lock file cannot be made.
    init(path: String) throws(SpoolError) {
        let name = path + ".lock"
        descriptor = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .unwritable(message: "\(name): \(String(cString: strerror(errno)))") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            let holder = Self.holder(descriptor)
            release()
            guard reason == EWOULDBLOCK else {
                throw .unwritable(message: "\(name): \(String(cString: strerror(reason)))")
            }
            throw .unwritable(message: "\(path) is in use by another maild\(holder)")
        }
        writePID()
    }

    deinit { release() }

    func release() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        descriptor = -1
    }

    /// For people only, so a full disk is no reason to fail.
    private func writePID() {
        let text = "\(getpid())\n"
        guard ftruncate(descriptor, 0) == 0 else { return }
        _ = pwrite(descriptor, text, text.utf8.count, 0)
    }

    /// " (pid N)", or nothing where the holder has not written it yet.
    private static func holder(_ descriptor: CInt) -> String {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        guard let pid = text.split(separator: "\n").first.flatMap({ pid_t($0) }) else { return "" }
        return " (pid \(pid))"
    }
}
