// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Writes the ends of attempts.
final class SQLiteSettlements {
    private let database: Database
    private let kinds: KindNumbers
    private let keys: SQLiteKeys
    private let putBack: Statement
    private let finishFirst: Statement
    private let finishLater: Statement
    private let delete: Statement

    private static let columns = "id, state, kind, uid, queue, attempts, finished_at, history"

    init(_ database: Database, kinds: KindNumbers, keys: SQLiteKeys) throws(SpoolError) {
        self.database = database
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

    /// False where the job is not there any more.
    func settle(_ settlement: Settlement) throws(SpoolError) -> Bool {
        guard settlement.state.isFinal else { return try putBack(settlement) }
        // Only what is delivered at the first attempt has no history yet: an operator may cancel between two attempts,
        // and a job that was put off may have been delivered in part.
        let isFirst = settlement.state == .delivered && settlement.attempts <= 1 && settlement.was == .ready
        if isFirst, try !remove(settlement.id) { return false }
        let finish = isFirst ? finishFirst : finishLater
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
        if isFirst { return true }
        return try remove(settlement.id)
    }

    /// Whether it was there.
    func remove(_ id: JobID) throws(SpoolError) -> Bool {
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
        return database.changes > 0
    }
}
