// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CGatheredLog

extension Database {
    /// The connection that writes: what it puts into its log goes down at each sync by one write, not by two a page
    /// (docs/decisions/0038-gathered-log.md). Whoever only reads has no use for that.
    convenience init(writing path: String, vfs: String?) throws(SpoolError) {
        guard let gathered = gathered_log(vfs) else { throw .failed(message: "\(path): SQLite has no VFS to open it") }
        try self.init(path: path, vfs: String(cString: gathered))
    }

    /// Throws where SQLite would show others what it has not synced: the log is gathered up to the sync of a commit.
    func checkSynchronous() throws(SpoolError) {
        // 2 is FULL: https://sqlite.org/pragma.html#pragma_synchronous
        guard try integer("PRAGMA synchronous") == 2 else {
            throw .failed(message: "\(path): SQLite does not sync its log at each commit")
        }
    }
}
