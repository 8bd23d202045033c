// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What is done to jobs outside of attempts: operators' verbs, and the notes on those that a dead process had in hand.
final class SQLiteChanges {
    private let database: Database
    private let kinds: KindNumbers
    private let keys: SQLiteKeys
    private let damage: SQLiteDamage
    private let find: Statement
    private let findFinished: Statement
    private let update: Statement
    private let finish: Statement
    private let finishUnread: Statement
    private let delete: Statement
    private let forget: Statement

    init(
        _ database: Database, kinds: KindNumbers, keys: SQLiteKeys, damage: SQLiteDamage
    ) throws(SpoolError) {
        self.damage = damage
        self.database = database
        self.kinds = kinds
        self.keys = keys
        find = try database.prepare(
            """
            SELECT state, queue, uid, kind, due, resumes, expires, attempts, crashes, fates, keyed, length(body),
            CASE WHEN length(body) <= \(Limits.largeBodyBytes) AND (instr(body, CAST('"traceparent"' AS BLOB))
            OR instr(body, CAST('\\u00' AS BLOB))) THEN body END FROM jobs WHERE id = ?
            """)
        findFinished = try database.prepare("SELECT state, queue, uid, kind FROM finished WHERE id = ?")
        update = try database.prepare(
            """
            UPDATE jobs SET state = ?2, due = ?3, resumes = ?4, expires = ?5, attempts = ?6, crashes = ?7, fates = ?8,
            history = CAST(coalesce(history, x'') || ?9 AS BLOB) WHERE id = ?1
            """)
        finish = try database.prepare(
            """
            INSERT INTO finished (id, state, kind, uid, queue, attempts, finished_at, history)
            SELECT id, ?2, kind, uid, queue, attempts, ?3, CAST(coalesce(history, x'') || ?4 AS BLOB) FROM jobs WHERE id = ?1
            """)
        finishUnread = try database.prepare(
            """
            INSERT INTO finished (id, state, kind, uid, queue, attempts, finished_at, history)
            SELECT id, ?2, kind, uid, queue, attempts, ?3, ?4 FROM jobs WHERE id = ?1
            """)
        delete = try database.prepare("DELETE FROM jobs WHERE id = ?")
        forget = try database.prepare("DELETE FROM finished WHERE id = ?")
    }

    /// A row that still has its body.
    private struct Row {
        var job: ChangingJob
        var group: JobGroup
        var isKeyed: Bool
        var bytes: Int
        var line: [UInt8]?
    }

    // MARK: Verbs

    func change(_ order: ChangeOrder, _ tally: Tally) throws(SpoolError) -> ChangeOutcome {
        var outcome = ChangeOutcome()
        outcome.tally = tally
        for id in order.ids {
            if let damaged = damage.standing(id), !damaged.hasEnded {
                try change(id, damaged, order, &outcome)
            } else if let row = damage.standing(id) == nil ? try row(id) : nil {
                try change(id, row, order, &outcome)
            } else {
                try changeFinished(id, order, &outcome)
            }
        }
        return outcome
    }

    private func change(
        _ id: JobID, _ row: Row, _ order: ChangeOrder, _ outcome: inout ChangeOutcome
    ) throws(SpoolError) {
        guard order.change.applies(to: row.job.state) else {
            outcome.unchanged.append((id, row.job.state))
            return
        }
        let job = row.job.changed(by: order)
        if let job, !job.state.isFinal {
            try write(id, job, history: order.history)
        } else {
            try end(id, row, job?.state, order)
        }
        outcome.tally.add(row.job.state, jobs: -1, bytes: -row.bytes, in: row.group)
        if let state = job?.state { outcome.tally.add(state, jobs: 1, bytes: row.bytes, in: row.group) }
        outcome.changed.append(
            ChangedJob(
                id: id, was: row.job.state, state: job?.state, dueAt: job?.dueAt, group: row.group, line: row.line))
    }

    /// A damaged row can be done away with, and nothing else.
    private func change(
        _ id: JobID, _ damaged: DamagedRow, _ order: ChangeOrder, _ outcome: inout ChangeOutcome
    ) throws(SpoolError) {
        guard order.change == .cancel || order.change == .purge, let found = try damage.found(id) else {
            outcome.unchanged.append((id, .held))
            return
        }
        let state: JobState? = order.change == .cancel ? .cancelled : nil
        if let state {
            let finish = damaged.isUnreadable ? finishUnread : self.finish
            try keep(id, state, order, finish)
        }
        if damaged.isUnreadable {
            try damage.end(damaged)
        } else {
            delete.bind(id.raw, 1)
            try delete.run()
            try damage.remove(id)
        }
        if found.isKeyed { try keys.finish(id, state ?? .held, at: order.at) }
        if outcome.tally.holds(.held, bytes: found.bytes, in: found.group) {
            outcome.tally.add(.held, jobs: -1, bytes: -found.bytes, in: found.group)
        } else {
            try SQLiteCounts.wantRecount(database)
        }
        if let state { outcome.tally.add(state, jobs: 1, bytes: found.bytes, in: found.group) }
        outcome.changed.append(ChangedJob(id: id, was: .held, state: state, group: found.group))
    }

    private func keep(
        _ id: JobID, _ state: JobState, _ order: ChangeOrder, _ finish: Statement
    ) throws(SpoolError) {
        finish.bind(id.raw, 1)
        finish.bind(Int(state.rawValue), 2)
        finish.bind(order.at, 3)
        finish.bind(order.history, 4)
        try finish.run()
    }

    /// - Parameter state: nil where not even the history stays.
    private func end(_ id: JobID, _ row: Row, _ state: JobState?, _ order: ChangeOrder) throws(SpoolError) {
        if let state { try keep(id, state, order, finish) }
        delete.bind(id.raw, 1)
        try delete.run()
        // A repeat of what an operator ended is no new job.
        if row.isKeyed { try keys.finish(id, state ?? row.job.state, at: order.at) }
    }

    private func changeFinished(
        _ id: JobID, _ order: ChangeOrder, _ outcome: inout ChangeOutcome
    ) throws(SpoolError) {
        findFinished.bind(id.raw, 1)
        defer { findFinished.reset() }
        guard try findFinished.step() else {
            outcome.unchanged.append((id, nil))
            return
        }
        let state = JobState(rawValue: UInt8(clamping: findFinished.integer(0))) ?? .delivered
        let group = group(findFinished)
        guard order.change.applies(to: state) else {
            outcome.unchanged.append((id, state))
            return
        }
        forget.bind(id.raw, 1)
        try forget.run()
        outcome.tally.finished -= 1
        outcome.changed.append(ChangedJob(id: id, was: state, state: nil, group: group))
    }

    // MARK: Recovery

    /// - Parameter history: the line for each job's history.
    /// - Returns: as `Keeping.recover`; jobs that ended in time are in neither list.
    func recover(
        _ ids: [JobID], at time: WallTime, history: [UInt8], _ tally: inout Tally
    ) throws(SpoolError) -> Recovery {
        var recovery = Recovery()
        for id in ids {
            guard damage.standing(id) == nil, let row = try row(id),
                row.job.state == .ready || row.job.state == .scheduled
            else { continue }
            var job = row.job
            job.crashes += 1
            let isHeld = job.crashes >= Limits.crashesMax
            // Scheduled, so that its next settlement looks for the history that it has from now on.
            job.state = isHeld ? .held : .scheduled
            job.dueAt = isHeld ? nil : row.job.dueAt ?? time
            try write(id, job, history: history)
            tally.add(row.job.state, jobs: -1, bytes: -row.bytes, in: row.group)
            tally.add(job.state, jobs: 1, bytes: row.bytes, in: row.group)
            if isHeld { recovery.held.append(id) } else { recovery.again.append(id) }
        }
        return recovery
    }

    // MARK: Rows

    private func row(_ id: JobID) throws(SpoolError) -> Row? {
        defer { find.reset() }
        find.bind(id.raw, 1)
        guard try find.step() else { return nil }
        let job = ChangingJob(
            state: JobState(rawValue: UInt8(clamping: find.integer(0))) ?? .held, dueAt: find.time(4),
            resumesAt: find.time(5), expiresAt: WallTime(milliseconds: find.integer(6)), attempts: Int(find.integer(7)),
            crashes: Int(find.integer(8)),
            fates: find.isNull(9) ? nil : find.bytes(9).map { Fate(rawValue: $0) ?? .open })
        return Row(
            job: job, group: group(find), isKeyed: find.integer(10) != 0, bytes: Int(find.integer(11)),
            line: find.isNull(12) ? nil : Array(find.bytes(12)))
    }

    /// Of a row whose columns 1 to 3 are queue, uid and kind.
    private func group(_ row: Statement) -> JobGroup {
        JobGroup(
            queue: UInt16(truncatingIfNeeded: row.integer(1)), uid: UInt32(truncatingIfNeeded: row.integer(2)),
            kind: kinds.index(of: row.integer(3)))
    }

    private func write(_ id: JobID, _ job: ChangingJob, history: [UInt8]) throws(SpoolError) {
        update.bind(id.raw, 1)
        update.bind(Int(job.state.rawValue), 2)
        update.bind(job.dueAt, 3)
        update.bind(job.resumesAt, 4)
        update.bind(job.expiresAt, 5)
        update.bind(job.attempts, 6)
        update.bind(job.crashes, 7)
        if let fates = job.fates { update.bind(fates.map(\.rawValue), 8) } else { update.bindNull(8) }
        update.bind(history, 9)
        try update.run()
    }
}
