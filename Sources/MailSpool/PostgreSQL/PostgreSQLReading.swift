// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import PostgreSQL

/// Questions to the database over a connection of their own, and the claims of this node.
///
/// `ready` and `due` tell what waits and is nobody's; only `claim` takes it.
final class PostgreSQLReading: Reading {
    private let link: Link
    private let kinds: KindTable
    private let member: FleetMember
    private let listing: PostgreSQLListing
    /// Jobs of a session that may be this node's in the database though it does not have them at hand: the connection
    /// was lost while they were claimed or given back. They are given back before anything else is claimed.
    private var doubtful: (session: Int64, jobs: [WaitingJob]) = (0, [])

    /// Columns as `job` reads them.
    private static let columns = """
        jobs.id, jobs.kind, jobs.priority, jobs.uid, jobs.queue, jobs.attempts, jobs.attempts_max, jobs.expires, jobs.due,
        jobs.fates, jobs.keyed, length(jobs.body),
        CASE WHEN length(jobs.body) <= \(Limits.largeBodyBytes) THEN jobs.body END, jobs.claim
        """
    private static let inLane = """
        state <= 1 AND lease = 0 AND priority = $1::int8::int AND queue = $2::int8::int AND uid = $3
        """
    private static let ready = """
        SELECT \(columns) FROM jobs WHERE \(inLane) AND state = 0 AND id > $4 ORDER BY id LIMIT $5
        """
    private static let due = """
        SELECT \(columns) FROM jobs WHERE \(inLane) AND state = 1 AND at <= $4 ORDER BY at, id LIMIT $5
        """
    private static let claim = """
        WITH picked AS MATERIALIZED (SELECT id FROM jobs WHERE \(inLane)
        AND at <= (extract(epoch FROM clock_timestamp()) * 1000)::int8 ORDER BY at, id LIMIT $4 FOR UPDATE SKIP LOCKED)
        UPDATE jobs SET lease = $5, claim = claim + 1 FROM picked WHERE jobs.id = picked.id RETURNING \(columns)
        """
    /// One step of the index for each lane, however many jobs wait in it.
    private static let lanes = """
        WITH RECURSIVE lanes AS (
          (SELECT priority, queue, uid FROM jobs WHERE state <= 1 AND lease = 0 ORDER BY priority, queue, uid LIMIT 1)
          UNION ALL SELECT next.* FROM lanes, LATERAL (SELECT priority, queue, uid FROM jobs
          WHERE state <= 1 AND lease = 0 AND (priority, queue, uid) > (lanes.priority, lanes.queue, lanes.uid)
          ORDER BY priority, queue, uid LIMIT 1) AS next)
        """

    init(_ location: FleetLocation, kinds: KindTable, member: FleetMember) {
        link = Link(location, application: "maild \(member.name) reader")
        self.kinds = kinds
        self.member = member
        listing = PostgreSQLListing(kinds: kinds, link: link)
    }

    // MARK: Waiting jobs

    func ready(_ lane: Lane, after: JobID, limit: Int, bytesMax: Int) throws(SpoolError) -> [WaitingJob] {
        let rows = try link.run(Self.ready, Self.lane(lane) + [.integer(after.raw), .integer(limit)])
        return cut(rows, bytesMax)
    }

    private static func lane(_ lane: Lane) -> [Parameter] {
        [.integer(Int64(lane.priority)), .integer(Int64(lane.queue)), .integer(Int64(lane.uid))]
    }

    func readyLanes() throws(SpoolError) -> [Lane] { try lanes() }

    /// Lanes in which jobs wait that are nobody's, now or later; the highest priority first.
    private func lanes() throws(SpoolError) -> [Lane] {
        let rows = try link.run("\(Self.lanes) SELECT * FROM lanes ORDER BY priority DESC")
        return (0..<rows.count).map { row in
            Lane(
                priority: UInt8(clamping: rows.integer(row, 0)),
                queue: UInt16(truncatingIfNeeded: rows.integer(row, 1)),
                uid: UInt32(truncatingIfNeeded: rows.integer(row, 2)))
        }
    }

    func due(at time: WallTime, limit: Int, bytesMax: Int, skipping: Set<Lane>) throws(SpoolError) -> DueJobs {
        let lanes = try lanesOfScheduled().filter { !skipping.contains($0) }
        var due = DueJobs()
        let share = bytesMax / max(1, lanes.count)
        for lane in lanes {
            let rows = try link.run(Self.due, Self.lane(lane) + [.integer(time.milliseconds), .integer(limit)])
            let found = cut(rows, share)
            let isCut = found.count >= limit || found.reduce(0, { $0 + $1.body.readableBytes }) >= share
            if isCut, !found.isEmpty { due.incomplete.insert(lane) }
            due.jobs += found
        }
        due.jobs.sort { ($0.readyAt, $0.id) < ($1.readyAt, $1.id) }
        return due
    }

    private func lanesOfScheduled() throws(SpoolError) -> [Lane] {
        var scheduled: [Lane] = []
        for lane in try lanes() {
            let rows = try link.run(
                "SELECT 1 FROM jobs WHERE \(Self.inLane) AND state = 1 ORDER BY at, id LIMIT 1", Self.lane(lane))
            if rows.count > 0 { scheduled.append(lane) }
        }
        return scheduled
    }

    func claim(_ wish: ClaimWish) throws(SpoolError) -> ClaimedJobs {
        let session = member.session
        var claimed = ClaimedJobs(session: session)
        guard member.mayBegin else { return claimed }
        try release([])
        var bytes = 0
        var rooms = wish.rooms
        // Within a priority in any order, so that none is always the one for which nothing is left.
        let lanes = try lanes().filter { !wish.skipping.contains($0) && rooms[$0.queue] != 0 }.shuffled()
            .sorted { $0.priority > $1.priority }
        let share = max(1, min(wish.laneMax, wish.jobsMax / max(1, lanes.count)))
        for lane in lanes {
            let room = wish.jobsMax - claimed.jobs.count
            guard room > 0, bytes < wish.bytesMax else {
                claimed.hasMore = true
                break
            }
            let limit = min(room, share, rooms[lane.queue] ?? room)
            guard limit > 0 else { continue }
            let jobs = try take(limit, of: lane, session, beside: claimed.jobs)
            bytes += jobs.reduce(0) { $0 + $1.body.readableBytes }
            // Of a queue that has as many as it may there is no more to claim for now.
            if let left = rooms[lane.queue] { rooms[lane.queue] = left - jobs.count }
            if jobs.count >= limit, rooms[lane.queue] != 0 { claimed.hasMore = true }
            claimed.jobs += jobs
        }
        return claimed
    }

    /// - Parameter others: of this claim already.
    private func take(
        _ limit: Int, of lane: Lane, _ session: Int64, beside others: [WaitingJob]
    ) throws(SpoolError) -> [WaitingJob] {
        var taken: [WaitingJob] = []
        do throws(SpoolError) {
            try link.transaction { () throws(SpoolError) in
                let rows = try link.run(Self.claim, Self.lane(lane) + [.integer(limit), .integer(session)])
                taken = (0..<rows.count).map { job(rows, $0) }
                return ((), [])
            }
        } catch {
            doubt(others + taken, session)
            throw error
        }
        return taken.sorted { ($0.readyAt, $0.id) < ($1.readyAt, $1.id) }
    }

    private func doubt(_ jobs: [WaitingJob], _ session: Int64) {
        // What an earlier session had is others' by now, or nobody's.
        if doubtful.session != session { doubtful = (session, []) }
        doubtful.jobs += jobs
    }

    func release(_ jobs: [WaitingJob]) throws(SpoolError) {
        let session = member.session
        doubt(jobs, session)
        guard !doubtful.jobs.isEmpty else { return }
        try link.run(
            """
            UPDATE jobs SET lease = 0 FROM unnest($1::int8[], $2::int8[]) AS given (id, claim)
            WHERE jobs.id = given.id AND jobs.claim = given.claim AND jobs.lease = $3
            """,
            [.integers(doubtful.jobs.map(\.id.raw)), .integers(doubtful.jobs.map(\.claim)), .integer(session)])
        doubtful.jobs = []
    }

    func body(_ id: JobID) throws(SpoolError) -> ByteBuffer? { try listing.body(id).map { ByteBuffer(bytes: $0) } }

    func dueCount(at time: WallTime, limit: Int) throws(SpoolError) -> Int {
        let rows = try link.run(
            """
            \(Self.lanes) SELECT count(*) FROM (SELECT 1 FROM lanes, LATERAL (SELECT 1 FROM jobs WHERE state <= 1
            AND lease = 0 AND priority = lanes.priority AND queue = lanes.queue AND uid = lanes.uid AND state = 1
            AND at <= $1 LIMIT $2) AS due LIMIT $2) AS few
            """, [.integer(time.milliseconds), .integer(limit)])
        return Int(rows.integer(0, 0))
    }

    func nextDue(after time: WallTime) throws(SpoolError) -> WallTime? {
        let rows = try link.run(
            """
            \(Self.lanes) SELECT min(next.at) FROM lanes, LATERAL (SELECT at FROM jobs WHERE state <= 1 AND lease = 0
            AND priority = lanes.priority AND queue = lanes.queue AND uid = lanes.uid AND state = 1 AND at > $1
            ORDER BY at, id LIMIT 1) AS next
            """, [.integer(time.milliseconds)])
        return rows.time(0, 0)
    }

    private func cut(_ rows: Rows, _ bytesMax: Int) -> [WaitingJob] {
        var jobs: [WaitingJob] = []
        var bytes = 0
        for row in 0..<rows.count where jobs.isEmpty || bytes < bytesMax {
            let job = job(rows, row)
            bytes += job.body.readableBytes
            jobs.append(job)
        }
        return jobs
    }

    private func job(_ rows: Rows, _ row: Int) -> WaitingJob {
        let id = JobID(raw: rows.integer(row, 0))
        let due = rows.time(row, 8)
        var job = WaitingJob(
            id: id, state: due == nil ? .ready : .scheduled, kind: kinds.index(of: rows.integer(row, 1)),
            priority: UInt8(clamping: rows.integer(row, 2)), uid: UInt32(truncatingIfNeeded: rows.integer(row, 3)),
            queue: UInt16(truncatingIfNeeded: rows.integer(row, 4)), attempts: Int(rows.integer(row, 5)),
            attemptsMax: Int(rows.integer(row, 6)), expiresAt: WallTime(milliseconds: rows.integer(row, 7)),
            readyAt: due ?? id.time, fates: rows.fates(row, 9), isKeyed: rows.integer(row, 10) != 0,
            body: ByteBuffer(bytes: rows.bytes(row, 12)), length: Int(rows.integer(row, 11)))
        job.claim = rows.integer(row, 13)
        return job
    }

    // MARK: Records

    func list(
        _ filter: JobFilter, at time: WallTime, after: JobID, limit: Int, whole: Bool
    ) throws(SpoolError) -> JobPage {
        try listing.page(filter, at: time, after: after, limit: limit, whole: whole)
    }

    func show(_ id: JobID) throws(SpoolError) -> JobRecord? {
        let rows = try link.run([
            Query("\(PostgreSQLListing.live) WHERE id = $1", [.integer(id.raw)]),
            Query("\(PostgreSQLListing.finished) WHERE id = $1", [.integer(id.raw)]),
            Query("SELECT name FROM keys WHERE job = $1", [.integer(id.raw)]),
        ])
        guard let found = rows[..<2].first(where: { $0.count == 1 }) else { return nil }
        var record = JobRecord(found, 0, kinds)
        try listing.fill(&record, found, 0)
        if rows[2].count > 0 { record.key = Array(rows[2].bytes(0, 0)) }
        return record
    }

    func fleet() throws(SpoolError) -> FleetReport? { try FleetReport(link) }

    func close() { link.close() }
}
