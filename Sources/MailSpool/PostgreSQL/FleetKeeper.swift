// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import PostgreSQL

/// A thread with a connection of its own that keeps this node's session alive, ends those of nodes that are gone, and
/// hears when others have put in something to do. It waits for nothing that the spool's other threads do.
final class FleetKeeper: @unchecked Sendable {
    // Everything but `bell` is touched on the keeper's own thread.
    private let link: Link
    private let desk: FleetDesk
    private let member: FleetMember
    /// The two ends of a pipe; a byte in it ends the thread.
    private let bell: (read: CInt, write: CInt)
    private var thread: WorkerThread?
    private var renewAt = 0.0
    private var measureAt = 0.0
    private var followAt = 0.0
    /// Since when every renewal has come in time.
    private var steadySince: Double?

    /// Without a notification it is looked for something to do so often.
    private static let pollSeconds = 1.0
    private static let measureSeconds = 60.0
    /// Notifications come with jobs, too: what operators did is looked up no more often than this.
    private static let followSeconds = 0.2
    private static let reconnectSeconds = 1.0

    init(_ location: FleetLocation, _ desk: FleetDesk, _ member: FleetMember) throws(SpoolError) {
        link = Link(location, application: "maild \(desk.name) keeper")
        self.desk = desk
        self.member = member
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .failed(message: "pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        bell = (ends[0], ends[1])
        thread = try WorkerThread(name: "fleet-keeper") { [self] in run() }
    }

    /// Blocks until the thread has ended.
    func end() {
        var byte: UInt8 = 0
        _ = write(bell.write, &byte, 1)
        thread?.join()
        thread = nil
    }

    deinit {
        close(bell.read)
        close(bell.write)
    }

    private func run() {
        defer { link.close() }
        while !isEnding {
            do throws(SpoolError) {
                try turn()
            } catch {
                member.lost(error)
                renewAt = 0
                steadySince = nil
                rest(Self.reconnectSeconds)
            }
        }
    }

    private func rest(_ seconds: Double) {
        var polls = [pollfd(fd: bell.read, events: Int16(POLLIN), revents: 0)]
        poll(&polls, 1, CInt(seconds * 1000))
    }

    private var isEnding: Bool {
        var polls = [pollfd(fd: bell.read, events: Int16(POLLIN), revents: 0)]
        return poll(&polls, 1, 0) > 0
    }

    private func turn() throws(SpoolError) {
        let now = FleetMember.now()
        if now >= renewAt {
            try renew(now)
            try reap(now)
        }
        if now >= measureAt { try measure(now) }
        if now >= followAt { try follow(now) }
        let wait = min(Self.pollSeconds, max(0, renewAt - FleetMember.now()))
        try link.listen(within: wait, or: bell.read)
        member.wake()
    }

    // MARK: The session

    private func renew(_ now: Double) throws(SpoolError) {
        if steadySince == nil { try link.run("LISTEN maild") }
        let rows = try link.run([
            Query(
                """
                UPDATE nodes SET expires = clock_timestamp() + make_interval(secs => \(FleetMember.leaseSeconds)),
                note = $2 WHERE session = $1 RETURNING session
                """, [.integer(member.session), .text(member.note.text)]),
            Query(FleetReport.brief),
        ])
        if rows[0].count == 1 {
            member.renewed(session: member.session, askedAt: now)
            steadySince = steadySince ?? now
        } else {
            // Somebody has taken this node for dead: its jobs are others' by now.
            let session = try link.transaction { () throws(SpoolError) in (try desk.begin(link), []) }
            member.renewed(session: session, askedAt: now)
            steadySince = now
        }
        member.learned(FleetGauges(rows[1]))
        renewAt = now + FleetMember.renewSeconds
    }

    /// Gives back what nodes had that are gone. After an outage of the database all leases have run out, and those who
    /// live need time to renew them: nobody is taken for dead by a node that was cut off itself.
    private func reap(_ now: Double) throws(SpoolError) {
        guard let steadySince, now - steadySince >= FleetMember.leaseSeconds else { return }
        let dead = try link.run("SELECT session FROM nodes WHERE session <> 0 AND expires < clock_timestamp()")
        for row in 0..<dead.count { try reap(session: dead.integer(row, 0)) }
        let orphans = try link.run(
            """
            WITH RECURSIVE leases AS (
              (SELECT lease FROM jobs WHERE lease <> 0 ORDER BY lease LIMIT 1) UNION ALL
              SELECT (SELECT lease FROM jobs WHERE lease <> 0 AND lease > leases.lease ORDER BY lease LIMIT 1)
              FROM leases WHERE lease IS NOT NULL)
            SELECT lease FROM leases WHERE lease IS NOT NULL AND lease NOT IN (SELECT session FROM nodes)
            """)
        for row in 0..<orphans.count {
            try link.run([FleetDesk.giveBack(orphans.integer(row, 0))])
        }
    }

    private func reap(session: Int64) throws(SpoolError) {
        try link.transaction { () throws(SpoolError) in
            // It may have come back in the meantime, or another node may be at it.
            let rows = try link.run(
                """
                SELECT 1 FROM nodes WHERE session = $1 AND expires < clock_timestamp() FOR UPDATE SKIP LOCKED
                """, [.integer(session)])
            return ((), rows.count == 1 ? FleetDesk.leave(session, note: FleetReport.expired) : [])
        }
    }

    private func follow(_ now: Double) throws(SpoolError) {
        let rows = try link.run(SharedFact.paused)
        var paused: [UInt16: String] = [:]
        for row in 0..<rows.count { paused[UInt16(truncatingIfNeeded: rows.integer(row, 0))] = rows.text(row, 1) }
        member.learned(paused: paused)
        followAt = now + Self.followSeconds
    }

    private func measure(_ now: Double) throws(SpoolError) {
        let rows = try link.run(
            """
            SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::int8 FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
            """)
        member.learned(storedBytes: Int(rows.integer(0, 0)))
        measureAt = now + Self.measureSeconds
    }
}
