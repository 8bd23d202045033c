// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The tables, their versions, and the steps from one to the next.
///
/// To change the format: raise `version`, keep every older step as it is, and append one that alters what the last left
/// (ALTER TABLE, CREATE INDEX; never edit a step that a released maild has run). Numbers of dropped states or columns
/// are not used again.
enum Schema {
    static let version: Int64 = 3
    /// "mld1", so that a foreign SQLite file is told from ours.
    static let applicationID: Int64 = 0x6D6C_6431

    static let steps: [String] = [one, two, three]

    /// `jobs` holds what still needs its body; `finished` only the history of the rest. The usual job enters no index:
    /// it is found by its rising id. Only exceptions are indexed.
    private static let one = """
        CREATE TABLE jobs (
          id INTEGER PRIMARY KEY,
          state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
          priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
          kind INTEGER NOT NULL,
          uid INTEGER NOT NULL,
          due INTEGER CHECK ((state = 1) = (due IS NOT NULL)),
          expires INTEGER NOT NULL,
          attempts_max INTEGER NOT NULL DEFAULT 0,
          attempts INTEGER NOT NULL DEFAULT 0,
          fates BLOB,
          history BLOB,
          body BLOB NOT NULL
        );
        CREATE INDEX jobs_due ON jobs (due, id) WHERE state = 1;
        CREATE INDEX jobs_priority ON jobs (priority, id) WHERE state = 0 AND priority <> \(Limits.priorityDefault);
        CREATE INDEX jobs_aside ON jobs (state, id) WHERE state >= 2;
        CREATE TABLE finished (
          id INTEGER PRIMARY KEY,
          state INTEGER NOT NULL CHECK (state BETWEEN 4 AND 6),
          kind INTEGER NOT NULL,
          uid INTEGER NOT NULL,
          attempts INTEGER NOT NULL,
          finished_at INTEGER NOT NULL,
          history BLOB
        );
        CREATE TABLE kinds (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE tally (
          one INTEGER PRIMARY KEY CHECK (one = 1),
          ready INTEGER NOT NULL, scheduled INTEGER NOT NULL, held INTEGER NOT NULL, failed INTEGER NOT NULL,
          finished INTEGER NOT NULL, bytes INTEGER NOT NULL, last_id INTEGER NOT NULL
        );
        INSERT INTO tally VALUES (1, 0, 0, 0, 0, 0, 0, 0);
        CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        INSERT INTO settings VALUES ('node', abs(random() % \(JobID.step)));
        """

    /// Queues, lanes, idempotency keys, crashes, and counts by group. The table is made anew, so that its body stays
    /// the last column: what comes behind a long one is slow to reach.
    private static let two = """
        CREATE TABLE queues (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        INSERT INTO queues VALUES (0, 'default');
        CREATE TABLE counts (
          queue INTEGER NOT NULL, uid INTEGER NOT NULL, kind INTEGER NOT NULL,
          ready INTEGER NOT NULL, scheduled INTEGER NOT NULL, held INTEGER NOT NULL, failed INTEGER NOT NULL,
          bytes INTEGER NOT NULL, PRIMARY KEY (queue, uid, kind)
        ) WITHOUT ROWID;
        INSERT INTO counts SELECT 0, uid, kind, sum(state = 0), sum(state = 1), sum(state = 2), sum(state = 3),
          sum(length(body)) FROM jobs GROUP BY uid, kind;
        INSERT INTO settings SELECT 'main_uid', uid FROM jobs GROUP BY uid ORDER BY count(*) DESC LIMIT 1;
        CREATE TABLE keys (
          uid INTEGER NOT NULL, kind INTEGER NOT NULL, name BLOB NOT NULL, job INTEGER NOT NULL, digest BLOB NOT NULL,
          finished_at INTEGER, state INTEGER, PRIMARY KEY (uid, kind, name)
        ) WITHOUT ROWID;
        CREATE INDEX keys_job ON keys (job);
        CREATE INDEX keys_finished ON keys (finished_at) WHERE finished_at IS NOT NULL;
        ALTER TABLE jobs RENAME TO jobs_one;
        DROP INDEX jobs_due; DROP INDEX jobs_priority; DROP INDEX jobs_aside;
        CREATE TABLE jobs (
          id INTEGER PRIMARY KEY,
          state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
          priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
          kind INTEGER NOT NULL,
          uid INTEGER NOT NULL,
          queue INTEGER NOT NULL DEFAULT 0,
          lane INTEGER NOT NULL DEFAULT 0,
          due INTEGER CHECK ((state = 1) = (due IS NOT NULL)),
          resumes INTEGER CHECK (resumes IS NULL OR state = 2),
          expires INTEGER NOT NULL,
          attempts_max INTEGER NOT NULL DEFAULT 0,
          attempts INTEGER NOT NULL DEFAULT 0,
          crashes INTEGER NOT NULL DEFAULT 0,
          keyed INTEGER NOT NULL DEFAULT 0,
          checksum INTEGER,
          fates BLOB,
          history BLOB,
          body BLOB NOT NULL
        );
        INSERT INTO jobs (id, state, priority, kind, uid, lane, due, expires, attempts_max, attempts, fates, history, body)
          SELECT id, state, priority, kind, uid,
          CASE WHEN priority = \(Limits.priorityDefault)
          AND uid = (SELECT value + 0 FROM settings WHERE name = 'main_uid') THEN 0 ELSE (1 << 52) | (priority << 48) | uid END,
          due, expires, attempts_max, attempts, fates, history, body FROM jobs_one;
        DROP TABLE jobs_one;
        CREATE INDEX jobs_due ON jobs (lane, due, id) WHERE state = 1;
        CREATE INDEX jobs_lane ON jobs (lane, id) WHERE state = 0 AND lane <> 0;
        CREATE INDEX jobs_aside ON jobs (state, id) WHERE state >= 2;
        ALTER TABLE finished ADD COLUMN queue INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE tally RENAME TO tally_one;
        CREATE TABLE tally (
          one INTEGER PRIMARY KEY CHECK (one = 1), finished INTEGER NOT NULL, last_id INTEGER NOT NULL
        );
        INSERT INTO tally SELECT 1, finished, last_id FROM tally_one;
        DROP TABLE tally_one;
        """

    /// Rows that were found to be damaged. `unreadable`: what stands in `jobs` can be neither read nor changed, and the
    /// job is held whatever that row says; `ended`: it is only left over.
    private static let three = """
        CREATE TABLE damaged (
          id INTEGER PRIMARY KEY, found_at INTEGER NOT NULL, reason TEXT NOT NULL,
          unreadable INTEGER NOT NULL CHECK (unreadable IN (0, 1)), ended INTEGER NOT NULL CHECK (ended IN (0, 1))
        );
        """

    /// Brings the file to `version`, each step in a transaction of its own with the number it leads to.
    static func migrate(_ database: Database, _ progress: SpoolUpgrade.Progress?) throws(SpoolError) {
        let found = try recognize(database)
        // Only an empty file takes it as it is: https://sqlite.org/pragma.html#pragma_auto_vacuum
        if found == 0 { try database.execute("PRAGMA auto_vacuum = INCREMENTAL") }
        for step in Int(found)..<steps.count {
            if let progress, found > 0 {
                database.watch {
                    progress(step, steps.count); return true
                }
            }
            defer { database.watch(nil) }
            try database.execute(
                """
                BEGIN EXCLUSIVE; \(steps[step])
                PRAGMA application_id = \(applicationID); PRAGMA user_version = \(step + 1); COMMIT
                """)
        }
        if found > 0, found < version { compact(database, progress) }
    }

    /// The format of a spool of ours, or of one that is still to be made (0). Throws `corrupt` where the file is
    /// another's, `tooNew` where it is a later maild's.
    static func recognize(_ database: Database) throws(SpoolError) -> Int64 {
        let found = try database.integer("PRAGMA user_version") ?? 0
        let owner = try database.integer("PRAGMA application_id") ?? 0
        let tables = try database.integer("SELECT count(*) FROM sqlite_schema") ?? 0
        guard owner == applicationID ? found > 0 : owner == 0 && found == 0 && tables == 0 else {
            throw .corrupt(message: "\(database.path): is not a spool of maild")
        }
        guard found <= version else {
            throw .tooNew(
                message: "\(database.path): has format \(found), this maild knows \(version); install the later maild")
        }
        return found
    }

    /// Larger files stay as they are: making one anew takes its size twice more on disk, and minutes.
    private static let compactBytesMax: Int64 = 1 << 30

    /// An older file could not shrink, and after an upgrade half of it may be free. Where it cannot be made anew, for
    /// want of room, all is well without.
    private static func compact(_ database: Database, _ progress: SpoolUpgrade.Progress?) {
        let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        guard let bytes = try? database.integer(size), bytes <= compactBytesMax else { return }
        if let progress {
            database.watch {
                progress(steps.count, steps.count); return true
            }
        }
        defer { database.watch(nil) }
        try? database.execute("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")
    }
}
