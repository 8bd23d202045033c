// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Makes SQLite's log as long as it becomes anyway before it is copied and used again from its beginning.
///
/// A commit that makes a file longer has two things to sync, the data and the file's length, and takes half as long
/// again. What is added are zeros, which are no frame of a log: https://sqlite.org/fileformat.html#the_write_ahead_log
/// says that it ends before the first frame whose salt is not the header's.
struct LogRoom {
    /// Of 1,000 pages (wal_autocheckpoint) with a head of 24 bytes each, and what the last commit goes beyond them.
    static let bytes = 4224 << 10
    private static let block = [UInt8](repeating: 0, count: 64 << 10)

    /// Between two transactions. Where there is no room for it the log stays as it is.
    static func make(_ path: String) {
        // Not made where it is missing: SQLite gives it its owner and mode.
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size < bytes else { return }
        guard fill(descriptor, from: Int(status.st_size)), fdatasync(descriptor) == 0 else {
            ftruncate(descriptor, status.st_size)
            return
        }
    }

    private static func fill(_ descriptor: CInt, from start: Int) -> Bool {
        var offset = start
        while offset < bytes {
            let count = pwrite(descriptor, block, min(block.count, bytes - offset), off_t(offset))
            if count <= 0 { return false }
            offset += count
        }
        return true
    }
}
