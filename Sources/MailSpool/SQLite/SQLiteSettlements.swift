// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Writes the ends of attempts.
final class SQLiteSettlements {
    private let database: Database
    private let kinds: KindNumbers
    private let keys: SQLiteKeys
    private let damage: SQLiteDamage
    private let putBack: Statement
    private let finishFirst: Statement
    private let finishLater: Statement
    private let delete: Statement

    private static let columns = "id, state, kind, uid, queue, attempts, finished_at, history"

    /// What a settlement found.
    enum Outcome {
        /// The job, which is now as it should be.
        case done
        /// Nothing: it was settled before.
        case missing
        /// A damaged row: the job stays held.
        case held
    }

    init(
        _ database: Database, kinds: KindNumbers, keys: SQLiteKeys, damage: SQLiteDamage
    ) throws(SpoolError) {
        self.database = database
        self.damage = damage
        self.kinds = kinds
        self.keys = keys
        // An attempt that ended is no crash: those before it are forgiven.
        putBack = try database.prepare(
            """
            UPDATE jobs SET state = ?2, due = ?3, attempts = ?4, fates = ?5, crashes = 0, resumes = NULL,
            history = CAST(coalesce(history, x'') || ?6 AS BLOB) WHERE id = ?1
            """)
        finishFirst = try database.prepare(
            "INSERT INTO finished (\(Self.columns)) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
        finishLater = try database.prepare(
            """
            INSERT INTO finished (\(Self.columns)) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7,
            CAST(coalesce(history, x'') || ?8 AS BLOB) FROM jobs WHERE id = ?1
            """)
        delete = try database.prepare("DELETE FROM jobs WHERE id = ?")
    }

    func settle(_ settlement: Settlement) throws(SpoolError) -> Outcome {
        if let row = damage.standing(settlement.id) { return try settle(settlement, damaged: row) }
        guard settlement.state.isFinal else { return try putBack(settlement) ? .done : .missing }
        return try finish(settlement) ? .done : .missing
    }

    /// False where the job is not there any more.
    private func finish(_ settlement: Settlement) throws(SpoolError) -> Bool {
        // Only what is delivered at the first attempt has no history yet: an operator may cancel between two attempts,
        // and a job that was put off may have been delivered in part.
        let isFirst = settlement.state == .delivered && settlement.attempts <= 1 && settlement.was == .ready
        if isFirst, try !remove(settlement.id) { return false }
        try keep(settlement, isFirst ? finishFirst : finishLater)
        if isFirst { return true }
        return try remove(settlement.id)
    }

    /// Its history, in `finished`.
    private func keep(_ settlement: Settlement, _ finish: Statement) throws(SpoolError) {
        finish.bind(settlement.id.raw, 1)
        finish.bind(Int(settlement.state.rawValue), 2)
        finish.bind(kinds.number(of: settlement.kind), 3)
        finish.bind(Int(settlement.uid), 4)
        finish.bind(Int(settlement.queue), 5)
        finish.bind(settlement.attempts, 6)
        finish.bind(settlement.endedAt, 7)
        finish.bind(settlement.history, 8)
        try finish.run()
        if settlement.isKeyed { try keys.finish(settlement.id, settlement.state, at: settlement.endedAt) }
    }

    /// The attempt was made from memory, or began before its row was found to be damaged.
    private func settle(_ settlement: Settlement, damaged row: DamagedRow) throws(SpoolError) -> Outcome {
        if row.hasEnded { return .missing }
        guard settlement.state.isFinal else {
            guard !row.isUnreadable else { return .held }
            var held = settlement
            held.state = .held
            held.dueAt = nil
            return try putBack(held) ? .held : .missing
        }
        guard row.isUnreadable else {
            try damage.remove(settlement.id)
            return try finish(settlement) ? .done : .missing
        }
        try keep(settlement, finishFirst)
        try damage.end(row)
        return .done
    }

    /// Whether it was there.
    private func remove(_ id: JobID) throws(SpoolError) -> Bool {
        delete.bind(id.raw, 1)
        try delete.run()
        return database.changes > 0
    }

    private func putBack(_ settlement: Settlement) throws(SpoolError) -> Bool {
        putBack.bind(settlement.id.raw, 1)
        putBack.bind(Int(settlement.state.rawValue), 2)
        putBack.bind(settlement.dueAt, 3)
        putBack.bind(settlement.attempts, 4)
        if let fates = settlement.fates { putBack.bind(fates.map(\.rawValue), 5) } else { putBack.bindNull(5) }
        putBack.bind(settlement.history, 6)
        try putBack.run()
        let isThere = database.changes > 0
        if isThere, let reason = settlement.damage {
            try damage.record(DamagedRow(id: settlement.id, reason: reason), at: settlement.endedAt)
        }
        return isThere
    }
}
