// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import PostgreSQL

/// The tables of a fleet, their version, and the steps from one to the next: see docs/decisions/0036.
///
/// Every node states its format in `nodes`. A step is taken by a node that starts, and only while no node of an older
/// format lives; a node whose format is older than the tables' refuses to start.
enum FleetSchema {
    /// Taken by whoever starts, defines a queue or changes the tables: "mld1".
    static let lock = Query("SELECT pg_advisory_xact_lock(1835820081, hashtext(current_schema()))")

    /// From each format to the next, the first of which is 1.
    static let steps: [[String]] = [one]

    /// A job that waits stands in `jobs_waiting` while nobody has it. `lease` is the session of the node that has it,
    /// `claim` counts how often it was taken or changed: who settles it must know the present one.
    private static let one = [
        """
        CREATE TABLE nodes (
          number int PRIMARY KEY CHECK (number BETWEEN 0 AND 1023), name text NOT NULL UNIQUE, token bytea NOT NULL,
          format int NOT NULL, session bigint NOT NULL DEFAULT 0, expires timestamptz NOT NULL DEFAULT now(),
          started timestamptz NOT NULL DEFAULT now(), version text NOT NULL, note text NOT NULL DEFAULT ''
        )
        """,
        "CREATE SEQUENCE sessions",
        """
        CREATE TABLE ledgers (
          node int PRIMARY KEY, last_id bigint NOT NULL DEFAULT 0, finished bigint NOT NULL DEFAULT 0
        )
        """,
        """
        CREATE TABLE counts (
          node int NOT NULL, queue int NOT NULL, uid bigint NOT NULL, kind int NOT NULL, ready bigint NOT NULL,
          scheduled bigint NOT NULL, held bigint NOT NULL, failed bigint NOT NULL, bytes bigint NOT NULL,
          PRIMARY KEY (node, queue, uid, kind)
        ) WITH (fillfactor = 50)
        """,
        "CREATE TABLE kinds (number int PRIMARY KEY, name text NOT NULL UNIQUE)",
        "CREATE TABLE queues (number int PRIMARY KEY, name text NOT NULL UNIQUE)",
        "INSERT INTO queues VALUES (0, 'default')",
        "CREATE TABLE settings (node int, name text, value text NOT NULL, PRIMARY KEY (node, name))",
        """
        CREATE TABLE jobs (
          id bigint PRIMARY KEY, state int NOT NULL CHECK (state BETWEEN 0 AND 3),
          priority int NOT NULL CHECK (priority BETWEEN 0 AND 9), kind int NOT NULL, uid bigint NOT NULL,
          queue int NOT NULL, due bigint CHECK ((state = 1) = (due IS NOT NULL)),
          resumes bigint CHECK (resumes IS NULL OR state = 2), expires bigint NOT NULL, attempts_max bigint NOT NULL,
          attempts bigint NOT NULL DEFAULT 0, crashes bigint NOT NULL DEFAULT 0, keyed int NOT NULL DEFAULT 0,
          lease bigint NOT NULL DEFAULT 0, claim bigint NOT NULL DEFAULT 0,
          at bigint NOT NULL GENERATED ALWAYS AS (coalesce(due, (id >> 22) + \(JobID.epoch))) STORED,
          fates bytea, history bytea, body bytea NOT NULL
        ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0)
        """,
        "CREATE INDEX jobs_waiting ON jobs (priority, queue, uid, at, id) WHERE state <= 1 AND lease = 0",
        "CREATE INDEX jobs_aside ON jobs (state, id) WHERE state >= 2",
        "CREATE INDEX jobs_leased ON jobs (lease) WHERE lease <> 0",
        """
        CREATE TABLE finished (
          id bigint PRIMARY KEY, state int NOT NULL CHECK (state BETWEEN 4 AND 6), kind int NOT NULL,
          uid bigint NOT NULL, queue int NOT NULL, attempts bigint NOT NULL, finished_at bigint NOT NULL, history bytea
        )
        """,
        """
        CREATE TABLE keys (
          uid bigint NOT NULL, kind int NOT NULL, name bytea NOT NULL, job bigint NOT NULL, digest bytea NOT NULL,
          finished_at bigint, state int, PRIMARY KEY (uid, kind, name)
        )
        """,
        "CREATE INDEX keys_job ON keys (job)",
        "CREATE INDEX keys_finished ON keys (finished_at) WHERE finished_at IS NOT NULL",
        "CREATE TABLE format (one int PRIMARY KEY CHECK (one = 1), version int NOT NULL)",
        "INSERT INTO format VALUES (1, 0)",
    ]

    /// Brings the tables to the last of `steps`, within the transaction that is open.
    static func migrate(_ link: Link, _ steps: [[String]]) throws(SpoolError) {
        let version = Int64(steps.count)
        try link.run([lock])
        let found = try self.found(link)
        guard found <= version else { throw tooNew(found, version) }
        guard found < version else { return }
        try refuseOlder(link, found, version)
        for step in steps[Int(found)...] { try link.run(step.map { Query($0) }) }
        try link.run("UPDATE format SET version = $1::int8", [.integer(version)])
        // A node of an older format that only slept must not renew its session on tables that it does not know.
        try link.run("UPDATE nodes SET session = 0, note = '\(FleetReport.expired)' WHERE session <> 0")
    }

    static func tooNew(_ found: Int64, _ version: Int64) -> SpoolError {
        .tooNew(message: "the tables have format \(found), this maild knows \(version); install the later maild")
    }

    /// 0 where there is nothing yet.
    private static func found(_ link: Link) throws(SpoolError) -> Int64 {
        let schema = "\"\(link.location.schema)\""
        if try link.run("SELECT to_regnamespace($1)::oid", [.text(schema)]).isNull(0, 0) {
            try link.run("CREATE SCHEMA \(schema)")
        }
        guard try !link.run("SELECT to_regclass($1)::oid", [.text("\(schema).format")]).isNull(0, 0) else { return 0 }
        let rows = try link.run("SELECT version FROM format")
        guard rows.count == 1 else { throw .corrupt(message: "the format of the tables is missing") }
        return rows.integer(0, 0)
    }

    private static func refuseOlder(_ link: Link, _ found: Int64, _ version: Int64) throws(SpoolError) {
        guard found > 0 else { return }
        let rows = try link.run(
            "SELECT name FROM nodes WHERE session <> 0 AND expires > now() AND format < $1::int8 ORDER BY name",
            [.integer(version)])
        guard rows.count > 0 else { return }
        let names = (0..<rows.count).map { rows.text($0, 0) }.joined(separator: ", ")
        throw .failed(
            message: "the tables have format \(found), and this maild would bring them to \(version), but nodes of an "
                + "older format are running: \(names); stop them first")
    }
}
