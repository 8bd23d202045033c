// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// Finds the jobs that may be worked on: ready ones lane by lane, due ones of all lanes together.
final class SQLiteWaiting {
    private let database: Database
    private let kinds: KindNumbers
    private let lanes: LaneNumbers
    private let readyMain: Statement
    private let readyOther: Statement
    private let nextReadyLane: Statement
    private let dueJobs: Statement
    private let dueFirst: Statement
    private let dueCounted: Statement
    private let nextDueLane: Statement

    init(_ database: Database, kinds: KindNumbers, lanes: LaneNumbers) throws(SpoolError) {
        self.database = database
        self.kinds = kinds
        self.lanes = lanes
        let waiting = """
            SELECT id, kind, priority, uid, queue, attempts, attempts_max, expires, due, fates, keyed,
            length(body), CASE WHEN length(body) <= \(Limits.largeBodyBytes) THEN body END FROM jobs
            """
        // The two differ in their index: the planner takes a partial one only where the terms imply its WHERE.
        readyMain = try database.prepare("\(waiting) WHERE id > ?2 AND state = 0 AND lane = ?1 ORDER BY id LIMIT ?3")
        readyOther = try database.prepare(
            "\(waiting) WHERE lane = ?1 AND lane <> 0 AND state = 0 AND id > ?2 ORDER BY id LIMIT ?3")
        // One step of an index for each lane, however many jobs wait in it.
        nextReadyLane = try database.prepare("SELECT min(lane) FROM jobs WHERE state = 0 AND lane <> 0 AND lane > ?")
        nextDueLane = try database.prepare("SELECT min(lane) FROM jobs WHERE state = 1 AND lane > ?")
        dueJobs = try database.prepare(
            "\(waiting) WHERE state = 1 AND lane = ?1 AND due <= ?2 ORDER BY due, id LIMIT ?3")
        dueFirst = try database.prepare("SELECT min(due) FROM jobs WHERE state = 1 AND lane = ?1 AND due > ?2")
        dueCounted = try database.prepare(
            "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state = 1 AND lane = ?1 AND due <= ?2 LIMIT ?3)")
    }

    // MARK: Ready

    func ready(_ lane: Lane, after: JobID, limit: Int, bytesMax: Int) throws(SpoolError) -> [WaitingJob] {
        let number = lanes.number(of: lane)
        let statement = number == 0 ? readyMain : readyOther
        statement.bind(number, 1)
        statement.bind(after.raw, 2)
        statement.bind(limit, 3)
        return try jobs(statement, bytesMax)
    }

    func readyLanes() throws(SpoolError) -> [Lane] {
        let others = try numbers(nextReadyLane, after: 0).compactMap { lanes.lane($0) }
        return (lanes.main.map { [$0] } ?? []) + others
    }

    private func numbers(_ next: Statement, after start: Int64) throws(SpoolError) -> [Int64] {
        var found: [Int64] = []
        var last = start
        while true {
            next.bind(last, 1)
            defer { next.reset() }
            guard try next.step(), !next.isNull(0) else { return found }
            last = next.integer(0)
            found.append(last)
        }
    }

    func body(_ id: JobID) throws(SpoolError) -> ByteBuffer? {
        try database.blob("body", of: "jobs", row: id.raw)
    }

    // MARK: Due

    private func dueLanes() throws(SpoolError) -> [Int64] { try numbers(nextDueLane, after: -1) }

    func due(
        at time: WallTime, limit: Int, bytesMax: Int, skipping: Set<Lane>
    ) throws(SpoolError) -> DueJobs {
        let lanes = try dueLanes().compactMap { number in self.lanes.lane(number).map { (number, $0) } }
            .filter { !skipping.contains($0.1) }
        var due = DueJobs()
        let share = bytesMax / max(1, lanes.count)
        for (number, lane) in lanes {
            dueJobs.bind(number, 1)
            dueJobs.bind(time, 2)
            dueJobs.bind(limit, 3)
            let found = try jobs(dueJobs, share)
            let isCut = found.count >= limit || found.reduce(0, { $0 + $1.body.readableBytes }) >= share
            if isCut, !found.isEmpty { due.incomplete.insert(lane) }
            due.jobs += found
        }
        if lanes.count > 1 { due.jobs.sort { ($0.readyAt, $0.id) < ($1.readyAt, $1.id) } }
        return due
    }

    func dueCount(at time: WallTime, limit: Int) throws(SpoolError) -> Int {
        var count = 0
        for lane in try dueLanes() where count < limit {
            dueCounted.bind(lane, 1)
            dueCounted.bind(time, 2)
            dueCounted.bind(limit - count, 3)
            defer { dueCounted.reset() }
            if try dueCounted.step() { count += Int(dueCounted.integer(0)) }
        }
        return count
    }

    func nextDue(after time: WallTime) throws(SpoolError) -> WallTime? {
        var first: WallTime?
        for lane in try dueLanes() {
            dueFirst.bind(lane, 1)
            dueFirst.bind(time, 2)
            defer { dueFirst.reset() }
            guard try dueFirst.step(), let due = dueFirst.time(0) else { continue }
            first = min(first ?? due, due)
        }
        return first
    }

    // MARK: Rows

    private func jobs(_ statement: Statement, _ bytesMax: Int) throws(SpoolError) -> [WaitingJob] {
        defer { statement.reset() }
        var jobs: [WaitingJob] = []
        var bytes = 0
        while jobs.isEmpty || bytes < bytesMax, try statement.step() {
            let job = job(statement)
            bytes += job.body.readableBytes
            jobs.append(job)
        }
        return jobs
    }

    private func job(_ row: Statement) -> WaitingJob {
        let id = JobID(raw: row.integer(0))
        let due = row.time(8)
        let fates = row.isNull(9) ? nil : row.bytes(9).map { Fate(rawValue: $0) ?? .open }
        return WaitingJob(
            id: id, state: due == nil ? .ready : .scheduled, kind: kinds.index(of: row.integer(1)),
            priority: UInt8(clamping: row.integer(2)), uid: UInt32(truncatingIfNeeded: row.integer(3)),
            queue: UInt16(truncatingIfNeeded: row.integer(4)), attempts: Int(row.integer(5)),
            attemptsMax: Int(row.integer(6)), expiresAt: WallTime(milliseconds: row.integer(7)),
            readyAt: due ?? id.time,
            fates: fates, isKeyed: row.integer(10) != 0, body: ByteBuffer(bytes: row.bytes(12)),
            length: Int(row.integer(11)))
    }
}
