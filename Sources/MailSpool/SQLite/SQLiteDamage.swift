// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Puts damaged rows on record and out of the way. On the writer's connection; all but `init` within its transactions.
final class SQLiteDamage {
    let ledger: DamageLedger
    private let database: Database
    private let kinds: KindNumbers
    private let judge: RowJudge
    private let look: Statement
    private let whole: Statement
    private let hold: Statement
    private let insert: Statement
    private let isRecorded: Statement
    private let forget: Statement
    private let markEnded: Statement
    /// What the present transaction has put on record: the ledger hears of it once that is durable.
    private var recording: [DamagedRow] = []
    private var forgetting: [JobID] = []
    /// What was put on record and not told yet.
    private(set) var recorded: [DamagedRow] = []

    init(
        _ database: Database, kinds: KindNumbers, lanes: LaneNumbers, ledger: DamageLedger
    ) throws(SpoolError) {
        self.database = database
        self.kinds = kinds
        self.ledger = ledger
        judge = RowJudge(lanes: lanes)
        // These values stand before the long ones, and the length is told by the row's head.
        look = try database.prepare("SELECT state, queue, uid, kind, length(body), keyed FROM jobs WHERE id = ?")
        whole = try database.prepare("SELECT \(RowJudge.columns), history FROM jobs WHERE id = ?")
        hold = try database.prepare(
            """
            UPDATE jobs SET state = 2, due = NULL, resumes = NULL,
            history = CAST(coalesce(history, x'') || ?2 AS BLOB) WHERE id = ?1
            """)
        insert = try database.prepare(
            "INSERT OR REPLACE INTO damaged (id, found_at, reason, unreadable, ended) VALUES (?, ?, ?, ?, ?)")
        isRecorded = try database.prepare("SELECT 1 FROM damaged WHERE id = ?")
        forget = try database.prepare("DELETE FROM damaged WHERE id = ?")
        markEnded = try database.prepare("UPDATE damaged SET ended = 1 WHERE id = ?")
    }

    /// What earlier daemons have put on record.
    static func load(_ database: Database, into ledger: DamageLedger) throws(SpoolError) {
        let rows = try database.prepare("SELECT id, reason, unreadable, ended FROM damaged")
        while try rows.step() {
            var row = DamagedRow(
                id: JobID(raw: rows.integer(0)), reason: rows.text(1), isUnreadable: rows.integer(2) != 0)
            row.hasEnded = rows.integer(3) != 0
            ledger.record(row)
        }
    }

    // MARK: Setting aside

    /// What is damaged at a second look as well: since it was found a row may have ended, and a bit that flipped in
    /// memory is right the next time. Before the transaction, because SQLite writes nothing in one that came upon a
    /// broken page.
    func judged(_ rows: [DamagedRow]) -> [DamagedRow] {
        rows.compactMap { row in
            let fault = fault(row.id)
            if fault == nil { ledger.forget(row.id) }
            return fault
        }
    }

    /// - Parameter rows: as `judged` has them.
    func setAside(_ rows: [DamagedRow], at time: WallTime, _ tally: Tally) throws(SpoolError) -> SetAside {
        var outcome = SetAside(tally: tally)
        for row in rows { try setAside(row, at: time, &outcome) }
        return outcome
    }

    private func setAside(_ row: DamagedRow, at time: WallTime, _ outcome: inout SetAside) throws(SpoolError) {
        guard try !isOnRecord(row.id) else { return }
        guard let found = try found(row.id) else { return forgetting.append(row.id) }
        var row = row
        if !row.isUnreadable, try !held(row, at: time) { row.isUnreadable = true }
        try record(row, at: time)
        // What it was counted for may have been changed as well: the next start counts all anew.
        try SQLiteCounts.wantRecount(database)
        try move(found, row.id, &outcome)
    }

    /// What is wrong with a row, or nil where it is whole.
    func fault(_ id: JobID) -> DamagedRow? {
        whole.bind(id.raw, 1)
        defer { whole.reset() }
        do throws(SpoolError) {
            guard try whole.step(), let fault = judge.fault(whole, from: 0) else { return nil }
            return DamagedRow(id: id, reason: fault)
        } catch {
            guard case .corrupt = error else { return nil }
            database.forgiveCorruption()
            return .unreadable(id)
        }
    }

    /// What can be told of a row whatever became of its long values.
    struct Found {
        /// Nil where it is none.
        var state: JobState?
        var group: JobGroup
        var kind: Int64
        var isKeyed: Bool
        var bytes: Int
    }

    func found(_ id: JobID) throws(SpoolError) -> Found? {
        look.bind(id.raw, 1)
        defer { look.reset() }
        guard try look.step() else { return nil }
        let state = JobState(rawValue: UInt8(clamping: look.integer(0)))
        let group = JobGroup(
            queue: UInt16(truncatingIfNeeded: look.integer(1)), uid: UInt32(truncatingIfNeeded: look.integer(2)),
            kind: kinds.index(of: look.integer(3)))
        return Found(
            state: state, group: group, kind: look.integer(3), isKeyed: look.integer(5) != 0,
            bytes: Int(look.integer(4)))
    }

    /// False where the row cannot be written anew: its pages are broken, or an index does not know its values.
    private func held(_ row: DamagedRow, at time: WallTime) throws(SpoolError) -> Bool {
        try database.execute("SAVEPOINT damaged_row")
        do throws(SpoolError) {
            hold.bind(row.id.raw, 1)
            hold.bind(
                Array("{\"at\":\(time.milliseconds),\"event\":\"damaged\",\"reason\":\"\(row.reason)\"}\n".utf8), 2)
            try hold.run()
            try database.execute("RELEASE damaged_row")
            return true
        } catch {
            guard database.isInTransaction, error.isOfRow else { throw error }
            try database.execute("ROLLBACK TO damaged_row; RELEASE damaged_row")
            database.forgiveCorruption()
            return false
        }
    }

    private func move(_ found: Found, _ id: JobID, _ outcome: inout SetAside) throws(SpoolError) {
        guard let state = found.state, !state.isFinal, state != .running,
            outcome.tally.holds(state, bytes: found.bytes, in: found.group)
        else { return }
        guard state != .held else { return }
        outcome.tally.add(state, jobs: -1, bytes: -found.bytes, in: found.group)
        outcome.tally.add(.held, jobs: 1, bytes: found.bytes, in: found.group)
        outcome.changed.append(ChangedJob(id: id, was: state, state: .held, group: found.group))
    }

    // MARK: The record

    func takeRecorded() -> [DamagedRow] {
        defer { recorded = [] }
        return recorded
    }

    private func isOnRecord(_ id: JobID) throws(SpoolError) -> Bool {
        isRecorded.bind(id.raw, 1)
        defer { isRecorded.reset() }
        return try isRecorded.step()
    }

    func record(_ row: DamagedRow, at time: WallTime) throws(SpoolError) {
        insert.bind(row.id.raw, 1)
        insert.bind(time, 2)
        insert.bind(row.reason, 3)
        insert.bind(row.isUnreadable ? 1 : 0, 4)
        insert.bind(row.hasEnded ? 1 : 0, 5)
        try insert.run()
        recording.append(row)
    }

    /// What the present transaction makes of a job; nil for the usual one, which is whole.
    func standing(_ id: JobID) -> DamagedRow? {
        if !recording.isEmpty, let row = recording.last(where: { $0.id == id }) { return row }
        return ledger.recorded(id)
    }

    /// The job is done with, and its row was removed.
    func remove(_ id: JobID) throws(SpoolError) {
        forget.bind(id.raw, 1)
        try forget.run()
        forgetting.append(id)
    }

    /// The job is done with, and its row cannot be removed.
    func end(_ row: DamagedRow) throws(SpoolError) {
        markEnded.bind(row.id.raw, 1)
        try markEnded.run()
        var row = row
        row.hasEnded = true
        recording.append(row)
    }

    /// After the transaction: it is durable, or it has not happened.
    func close(isDurable: Bool) {
        guard !recording.isEmpty || !forgetting.isEmpty else { return }
        if isDurable {
            for row in recording { ledger.record(row) }
            recorded += recording.filter { !$0.hasEnded }
            for id in forgetting { ledger.forget(id) }
        }
        recording.removeAll()
        forgetting.removeAll()
    }
}

extension SpoolError {
    /// It may come from the row that a statement was about.
    fileprivate var isOfRow: Bool {
        switch self {
        case .corrupt, .failed: true
        default: false
        }
    }
}
