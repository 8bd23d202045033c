// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CSQLite
import MailJob

/// Lets a reader's questions go round rows whose long values lie on broken pages.
///
/// In SQL `unreadable(id)` is true for those that are known; `round` finds those that are not.
final class UnreadableRows {
    private let database: Database
    private let judge: RowJudge
    let ledger: DamageLedger

    init(_ database: Database, lanes: LaneNumbers, ledger: DamageLedger) throws(SpoolError) {
        self.database = database
        self.ledger = ledger
        judge = RowJudge(lanes: lanes)
        try database.define("unreadable") { [ledger] in ledger[JobID(raw: $0)]?.isUnreadable == true }
    }

    /// Runs `body`, once more if it came upon rows that are unreadable and were not known.
    /// - Parameter through: nil where it may have read any row above `after`.
    func round<Value>(
        after: JobID, through: JobID? = nil, _ body: () throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        do throws(SpoolError) {
            return try body()
        } catch {
            guard case .corrupt = error, try find(after, through ?? JobID(raw: .max)) else { throw error }
            database.forgiveCorruption()
            return try body()
        }
    }

    private static func whole(_ database: Database) throws(SpoolError) -> Statement {
        try database.prepare("SELECT \(RowJudge.columns), history FROM jobs WHERE id = ?")
    }

    /// Tries each row by itself. Their ids are found without the long values; where not even these can be read it is
    /// the file that is damaged, and this throws `corrupt`.
    private func find(_ after: JobID, _ through: JobID) throws(SpoolError) -> Bool {
        let ids = try database.prepare(
            "SELECT id FROM jobs WHERE id > ? AND id <= ? AND NOT unreadable(id) ORDER BY id")
        let whole = try Self.whole(database)
        ids.bind(after.raw, 1)
        ids.bind(through.raw, 2)
        var hasFound = false
        while try ids.step() {
            let id = JobID(raw: ids.integer(0))
            whole.bind(id.raw, 1)
            defer { whole.reset() }
            do throws(SpoolError) {
                _ = try whole.step()
            } catch {
                guard case .corrupt = error else { throw error }
                ledger.find(.unreadable(id))
                hasFound = true
            }
        }
        return hasFound
    }

    private lazy var judged = try? Self.whole(database)

    /// Why a row is damaged, where it is; names it in the ledger.
    func damage(_ id: JobID) throws(SpoolError) -> DamagedRow? {
        if let known = ledger[id] { return known }
        guard let judged else { return nil }
        defer { judged.reset() }
        judged.bind(id.raw, 1)
        guard try judged.step(), let fault = judge.fault(judged, from: 0) else { return nil }
        ledger.find(DamagedRow(id: id, reason: fault))
        return ledger[id]
    }
}

/// A function of SQL's that asks a question about one integer.
private final class IntegerQuestion {
    let answer: (Int64) -> Bool
    init(_ answer: @escaping (Int64) -> Bool) { self.answer = answer }
}

extension Database {
    fileprivate func define(_ name: String, _ answer: @escaping (Int64) -> Bool) throws(SpoolError) {
        let question = Unmanaged.passRetained(IntegerQuestion(answer)).toOpaque()
        try create(
            name, question,
            { context, count, values in
                guard count == 1, let values, let data = sqlite3_user_data(context) else { return }
                let question = Unmanaged<IntegerQuestion>.fromOpaque(data).takeUnretainedValue()
                sqlite3_result_int(context, question.answer(sqlite3_value_int64(values[0])) ? 1 : 0)
            },
            { if let data = $0 { Unmanaged<IntegerQuestion>.fromOpaque(data).release() } })
    }
}
