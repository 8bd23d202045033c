// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// Finds the jobs that may be worked on: ready ones lane by lane, due ones of all lanes together.
final class SQLiteWaiting {
    private let lanes: LaneNumbers
    private let readyMain: WaitingRows
    private let readyOther: WaitingRows
    private let dueJobs: WaitingRows
    private let nextReadyLane: Statement
    private let dueFirst: Statement
    private let dueCounted: Statement
    private let nextDueLane: Statement

    init(
        _ database: Database, kinds: KindNumbers, lanes: LaneNumbers, ledger: DamageLedger
    ) throws(SpoolError) {
        self.lanes = lanes
        let rows = { (condition: String) throws(SpoolError) in
            try WaitingRows(database, kinds: kinds, lanes: lanes, ledger: ledger, where: condition)
        }
        // The two differ in their index: the planner takes a partial one only where the terms imply its WHERE.
        readyMain = try rows("id > ?2 AND state = 0 AND lane = ?1 ORDER BY id LIMIT ?3")
        readyOther = try rows("lane = ?1 AND lane <> 0 AND state = 0 AND id > ?2 ORDER BY id LIMIT ?3")
        dueJobs = try rows("state = 1 AND lane = ?1 AND due <= ?2 ORDER BY due, id LIMIT ?3")
        // One step of an index for each lane, however many jobs wait in it.
        nextReadyLane = try database.prepare("SELECT min(lane) FROM jobs WHERE state = 0 AND lane <> 0 AND lane > ?")
        nextDueLane = try database.prepare("SELECT min(lane) FROM jobs WHERE state = 1 AND lane > ?")
        dueFirst = try database.prepare("SELECT min(due) FROM jobs WHERE state = 1 AND lane = ?1 AND due > ?2")
        dueCounted = try database.prepare(
            "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state = 1 AND lane = ?1 AND due <= ?2 LIMIT ?3)")
    }

    // MARK: Ready

    func ready(_ lane: Lane, after: JobID, limit: Int, bytesMax: Int) throws(SpoolError) -> [WaitingJob] {
        let number = lanes.number(of: lane)
        let rows = number == 0 ? readyMain : readyOther
        return try rows.read(number, after.raw, WaitingRows.Bound(limit: limit, bytesMax: bytesMax)).jobs
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
        try readyMain.body(id)
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
            let bound = WaitingRows.Bound(limit: limit, bytesMax: share)
            let found = try dueJobs.read(number, time.milliseconds, bound)
            if found.isCut { due.incomplete.insert(lane) }
            due.jobs += found.jobs
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
}
