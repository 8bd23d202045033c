// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Looks at all that a spool holds: SQLite's own structure, every row's values and checksum, the tally, the keys.
///
/// On a connection of its own and in one transaction that only reads: what it sees is of one moment, and neither the
/// writer nor the other readers wait for it. The log grows meanwhile, and is cut afterwards.
package struct SpoolChecker: Sendable {
    let path: String
    let vfs: String?
    let kinds: KindNumbers
    let lanes: LaneNumbers
    let ledger: DamageLedger

    /// - Parameters:
    ///   - isFull: indexes are compared with their tables entry by entry, which takes several times as long.
    ///   - watch: called every few milliseconds; false ends the check with `failed`.
    /// - Returns: the report, and the damaged rows that nobody has come upon before.
    package func run(
        isFull: Bool, watch: @escaping @Sendable (SpoolCheckProgress) -> Bool
    ) throws(SpoolError) -> (report: SpoolCheckReport, fresh: [DamagedRow]) {
        let database = try Database(path: path, mustExist: true, vfs: vfs)
        defer { database.close() }
        try database.execute("PRAGMA query_only = ON; PRAGMA cache_size = -2048; BEGIN")
        let check = try SQLiteCheck(database, self, watch)
        try check.run(isFull: isFull)
        return (check.report, ledger.takeFresh())
    }

    /// Of a spool that no daemon has open.
    package static func check(
        path: String, isFull: Bool, watch: @escaping @Sendable (SpoolCheckProgress) -> Bool
    ) throws(SpoolError) -> SpoolCheckReport {
        let lock = try SpoolLock(path: path)
        defer { lock.release() }
        let database = try Database(path: path, mustExist: true)
        defer { database.close() }
        let format = try Schema.recognize(database)
        guard format == Schema.version else {
            throw .failed(
                message:
                    "\(path): has format \(format); maild brings it to \(Schema.version) when it starts, and can check "
                    + "it then")
        }
        let ledger = DamageLedger()
        try SQLiteDamage.load(database, into: ledger)
        let names = try database.prepare("SELECT value + 0 FROM settings WHERE name = '\(LaneNumbers.setting)'")
        let main = try names.step() ? UInt32(exactly: names.integer(0)) : nil
        let checker = SpoolChecker(
            path: path, vfs: nil, kinds: try KindNumbers(in: database), lanes: LaneNumbers(mainUser: main),
            ledger: ledger)
        return try checker.run(isFull: isFull, watch: watch).report
    }
}
