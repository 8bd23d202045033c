// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import PostgreSQL

/// Enters a node among the others, and takes it off again. Each within a transaction of the caller's.
struct FleetDesk {
    let name: String
    /// Tells this node's state directory from others that may bear the same name.
    let token: [UInt8]
    /// Of the tables, as this daemon knows them.
    let format: Int64

    struct Entry {
        var number: Int64
        var session: Int64
        /// Of this node's start before, which did not end in order; 0 where there is none.
        var formerSession: Int64
    }

    /// Within a transaction that holds `FleetSchema.lock`.
    func enter(_ link: Link) throws(SpoolError) -> Entry {
        let found = try link.run(
            "SELECT number, token, session, session <> 0 AND expires > now() FROM nodes WHERE name = $1 FOR UPDATE",
            [.text(name)])
        if found.count == 1 {
            guard Array(found.bytes(0, 1)) == token || found.integer(0, 3) == 0 else {
                throw .unwritable(message: "another node of the fleet is called \(name), and is running")
            }
            let former = found.integer(0, 2)
            return Entry(number: found.integer(0, 0), session: try begin(link), formerSession: former)
        }
        let number = try freeNumber(link)
        try link.run([
            Query("DELETE FROM nodes WHERE number = $1::int8", [.integer(number)]),
            Query("DELETE FROM settings WHERE node = $1::int8", [.integer(number)]),
            Query(
                "INSERT INTO nodes (number, name, token, format, version) VALUES ($1::int8, $2, $3, $4::int8, $5)",
                [.integer(number), .text(name), .bytes(token), .integer(format), .text(Version.text)]),
            Query("INSERT INTO ledgers (node) VALUES ($1::int8) ON CONFLICT DO NOTHING", [.integer(number)]),
        ])
        return Entry(number: number, session: try begin(link), formerSession: 0)
    }

    /// A session that none had before.
    func begin(_ link: Link) throws(SpoolError) -> Int64 {
        // Nobody raises the format between this look and the end of the transaction.
        let found = try link.run([FleetSchema.lock, Query("SELECT version FROM format")])[1].integer(0, 0)
        guard found <= format else { throw FleetSchema.tooNew(found, format) }
        let rows = try link.run(
            """
            UPDATE nodes SET session = nextval('sessions'), token = $2, format = $3::int8, version = $4, started = now(),
            note = '', expires = clock_timestamp() + make_interval(secs => \(FleetMember.leaseSeconds)) WHERE name = $1
            AND (token = $2 OR session = 0 OR expires <= now()) RETURNING session
            """, [.text(name), .bytes(token), .integer(format), .text(Version.text)])
        guard rows.count == 1 else { throw .unwritable(message: "another node of the fleet is called \(name) by now") }
        return rows.integer(0, 0)
    }

    /// One that no node has, else that of the node which has been away for the longest time.
    private func freeNumber(_ link: Link) throws(SpoolError) -> Int64 {
        let free = try link.run(
            """
            SELECT n FROM generate_series(0, \(JobID.step - 1)) AS n
            WHERE NOT EXISTS (SELECT 1 FROM nodes WHERE number = n) ORDER BY random() LIMIT 1
            """)
        if free.count == 1 { return free.integer(0, 0) }
        let old = try link.run(
            "SELECT number FROM nodes WHERE session = 0 OR expires <= now() ORDER BY expires LIMIT 1 FOR UPDATE")
        guard old.count == 1 else { throw .failed(message: "\(JobID.step) nodes are running, as many as there may be") }
        return old.integer(0, 0)
    }

    /// Gives back what a session has claimed, and ends it.
    static func leave(_ session: Int64, note: String = "") -> [Query] {
        [
            Query("UPDATE nodes SET session = 0, note = $2 WHERE session = $1", [.integer(session), .text(note)]),
            giveBack(session),
            Query("SELECT pg_notify('maild', '')"),
        ]
    }

    /// A row that a transaction still holds is passed over: where it ends and leaves the lease, that is an orphan.
    static func giveBack(_ session: Int64) -> Query {
        Query(
            """
            UPDATE jobs SET lease = 0 WHERE id IN (SELECT id FROM jobs WHERE lease = $1 FOR UPDATE SKIP LOCKED)
            """, [.integer(session)])
    }
}
