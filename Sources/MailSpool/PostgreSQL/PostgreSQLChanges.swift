// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import PostgreSQL

/// What is done to jobs outside of attempts: operators' verbs, and the notes on those that a dead process had in hand.
struct PostgreSQLChanges {
    let kinds: KindTable
    let member: FleetMember

    private static let find = """
        SELECT id, queue, uid, kind, state, due, resumes, expires, attempts, crashes, fates, keyed, length(body),
        CASE WHEN length(body) <= \(Limits.largeBodyBytes) AND (position('"traceparent"'::bytea IN body) > 0
        OR position(decode('5c753030', 'hex') IN body) > 0) THEN body END, lease
        FROM jobs WHERE id = ANY ($1::int8[]) ORDER BY id FOR UPDATE
        """
    private static let findFinished = """
        SELECT id, queue, uid, kind, state FROM finished WHERE id = ANY ($1::int8[]) ORDER BY id FOR UPDATE
        """
    private static let update = """
        UPDATE jobs SET state = $2::int8, due = $3, resumes = $4, expires = $5, attempts = $6, crashes = $7, fates = $8,
        history = coalesce(history, ''::bytea) || $9, lease = 0, claim = claim + 1 WHERE id = $1
        """
    private static let finish = """
        INSERT INTO finished (id, state, kind, uid, queue, attempts, finished_at, history)
        SELECT id, $2::int8, kind, uid, queue, attempts, $3, coalesce(history, ''::bytea) || $4 FROM jobs WHERE id = $1
        """

    /// A row that still has its body.
    private struct Row {
        var job: ChangingJob
        var group: JobGroup
        var isKeyed: Bool
        var bytes: Int
        var line: [UInt8]?
        var lease: Int64
    }

    // MARK: Verbs

    /// - Returns: what is to be written.
    func change(
        _ order: ChangeOrder, _ outcome: inout ChangeOutcome, _ delta: inout CountDelta, _ link: Link
    ) throws(SpoolError) -> [Query] {
        var live = try rows(order.ids, link)
        var finished = try finishedRows(order.ids, link)
        var queries: [Query] = []
        for id in order.ids {
            if let row = live.removeValue(forKey: id) {
                queries += change(id, row, order, &outcome, &delta)
            } else if let (state, group) = finished[id], order.change.applies(to: state) {
                finished[id] = nil
                queries.append(Query("DELETE FROM finished WHERE id = $1", [.integer(id.raw)]))
                outcome.tally.finished -= 1
                delta.finished -= 1
                outcome.changed.append(ChangedJob(id: id, was: state, state: nil, group: group))
            } else {
                outcome.unchanged.append((id, finished[id]?.state))
            }
        }
        return queries
    }

    private func change(
        _ id: JobID, _ row: Row, _ order: ChangeOrder, _ outcome: inout ChangeOutcome, _ delta: inout CountDelta
    ) -> [Query] {
        // Another node has it at hand, and may have begun it.
        let isElsewhere = row.lease != 0 && row.lease != member.session
        guard !isElsewhere, order.change.applies(to: row.job.state) else {
            outcome.unchanged.append((id, isElsewhere ? .running : row.job.state))
            return []
        }
        let job = row.job.changed(by: order)
        let changed = ChangedJob(
            id: id, was: row.job.state, state: job?.state, dueAt: job?.dueAt, group: row.group, line: row.line)
        outcome.changed.append(changed)
        outcome.tally.add(row.job.state, jobs: -1, bytes: -row.bytes, in: row.group)
        if let state = job?.state { outcome.tally.add(state, jobs: 1, bytes: row.bytes, in: row.group) }
        delta.add(changed, bytes: row.bytes)
        if let job, !job.state.isFinal { return [write(id, job, history: order.history)] }
        return end(id, row, job?.state, order)
    }

    /// - Parameter state: nil where not even the history stays.
    private func end(_ id: JobID, _ row: Row, _ state: JobState?, _ order: ChangeOrder) -> [Query] {
        var queries: [Query] = []
        if let state {
            queries.append(
                Query(
                    Self.finish,
                    [
                        .integer(id.raw), .integer(Int64(state.rawValue)), .integer(order.at.milliseconds),
                        .bytes(order.history),
                    ]))
        }
        queries.append(Query("DELETE FROM jobs WHERE id = $1", [.integer(id.raw)]))
        // A repeat of what an operator ended is no new job.
        let end = (job: id, at: order.at, state: state ?? row.job.state)
        return queries + (row.isKeyed ? PostgreSQLSettlements.finishKeys([end]) : [])
    }

    // MARK: Recovery

    /// - Parameter former: the session of the process that died; what another node has taken since is left alone.
    func recover(
        _ ids: [JobID], at time: WallTime, former: Int64, _ delta: inout CountDelta, _ link: Link
    ) throws(SpoolError) -> (Recovery, [Query]) {
        var recovery = Recovery()
        var queries: [Query] = []
        guard !ids.isEmpty else { return (recovery, []) }
        let rows = try rows(ids, link)
        let history = Array("{\"at\":\(time.milliseconds),\"event\":\"crashed\"}\n".utf8)
        for id in ids {
            guard let row = rows[id], row.job.state == .ready || row.job.state == .scheduled else { continue }
            guard row.lease == 0 || row.lease == former else { continue }
            var job = row.job
            job.crashes += 1
            let isHeld = job.crashes >= Limits.crashesMax
            job.state = isHeld ? .held : .scheduled
            job.dueAt = isHeld ? nil : row.job.dueAt ?? time
            queries.append(write(id, job, history: history))
            let changed = ChangedJob(id: id, was: row.job.state, state: job.state, dueAt: job.dueAt, group: row.group)
            delta.add(changed, bytes: row.bytes)
            if isHeld { recovery.held.append(id) } else { recovery.again.append(id) }
        }
        return (recovery, queries)
    }

    // MARK: Rows

    private func rows(_ ids: [JobID], _ link: Link) throws(SpoolError) -> [JobID: Row] {
        let rows = try link.run(Self.find, [.integers(ids.map(\.raw))])
        var found: [JobID: Row] = [:]
        for row in 0..<rows.count {
            let job = ChangingJob(
                state: Self.state(rows, row), dueAt: rows.time(row, 5), resumesAt: rows.time(row, 6),
                expiresAt: WallTime(milliseconds: rows.integer(row, 7)), attempts: Int(rows.integer(row, 8)),
                crashes: Int(rows.integer(row, 9)), fates: rows.fates(row, 10))
            found[JobID(raw: rows.integer(row, 0))] = Row(
                job: job, group: group(rows, row), isKeyed: rows.integer(row, 11) != 0,
                bytes: Int(rows.integer(row, 12)), line: rows.isNull(row, 13) ? nil : Array(rows.bytes(row, 13)),
                lease: rows.integer(row, 14))
        }
        return found
    }

    private func finishedRows(
        _ ids: [JobID], _ link: Link
    ) throws(SpoolError) -> [JobID: (state: JobState, group: JobGroup)] {
        let rows = try link.run(Self.findFinished, [.integers(ids.map(\.raw))])
        var found: [JobID: (state: JobState, group: JobGroup)] = [:]
        for row in 0..<rows.count {
            found[JobID(raw: rows.integer(row, 0))] = (Self.state(rows, row), group(rows, row))
        }
        return found
    }

    private static func state(_ rows: Rows, _ row: Int) -> JobState {
        JobState(rawValue: UInt8(clamping: rows.integer(row, 4))) ?? .held
    }

    /// Of a row whose columns 1 to 3 are queue, uid and kind.
    private func group(_ rows: Rows, _ row: Int) -> JobGroup {
        JobGroup(
            queue: UInt16(truncatingIfNeeded: rows.integer(row, 1)),
            uid: UInt32(truncatingIfNeeded: rows.integer(row, 2)), kind: kinds.index(of: rows.integer(row, 3)))
    }

    private func write(_ id: JobID, _ job: ChangingJob, history: [UInt8]) -> Query {
        Query(
            Self.update,
            [
                .integer(id.raw), .integer(Int64(job.state.rawValue)), .integer(job.dueAt?.milliseconds),
                .integer(job.resumesAt?.milliseconds), .integer(job.expiresAt.milliseconds), .integer(job.attempts),
                .integer(job.crashes), .bytes(job.fates.map { $0.map(\.rawValue) }), .bytes(history),
            ])
    }
}

extension Rows {
    func time(_ row: Int, _ column: Int) -> WallTime? {
        integerOrNil(row, column).map { WallTime(milliseconds: $0) }
    }

    func fates(_ row: Int, _ column: Int) -> [Fate]? {
        isNull(row, column) ? nil : bytes(row, column).map { Fate(rawValue: $0) ?? .open }
    }
}
