// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

// A VFS of SQLite's (https://sqlite.org/vfs.html) on top of another one, for the connection that writes: what it writes
// to its write-ahead log, a frame's header and its page at a time, goes down at each sync by one write and not by many.
// Everything else is the other VFS's own. docs/decisions/0038-gathered-log.md says why nothing is promised too early.
#ifndef MAILD_GATHERED_LOG_H
#define MAILD_GATHERED_LOG_H

// The name of such a VFS on top of the one named `base` (NULL: the machine's own), for sqlite3_open_v2; NULL where
// there is no such VFS, or no memory. Made at the first call for each base, and kept for as long as the process lives.
// Only for connections with synchronous=FULL: with less SQLite publishes frames without a sync. The first call, where
// it is the first of SQLite at all, also has it count no memory: sqlite3_memory_used and its like tell nothing then.
const char *gathered_log(const char *base);

#endif
