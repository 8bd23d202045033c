// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// Rows of waiting jobs by one condition, in one order: judged as they are read, and walked one by one where SQLite
/// cannot read one of them. What is damaged is named in the ledger and passed over.
final class WaitingRows {
    private let database: Database
    private let kinds: KindNumbers
    private let judge: RowJudge
    private let ledger: DamageLedger
    private let rows: Statement
    private let condition: String

    /// A large line is read, and judged, when its turn comes.
    private static let columns = "id, kind, keyed, length(body), \(RowJudge.columns(large: false))"
    /// Of the first of `RowJudge.columns` among these.
    private static let judged: CInt = 4

    /// What a read brings at most; one job it brings whatever its size.
    struct Bound {
        var limit: Int
        var bytesMax: Int
    }

    /// - Parameter condition: from WHERE up to LIMIT, with parameters 1 and 2, and the limit as 3.
    init(
        _ database: Database, kinds: KindNumbers, lanes: LaneNumbers, ledger: DamageLedger, where condition: String
    ) throws(SpoolError) {
        self.database = database
        self.kinds = kinds
        self.ledger = ledger
        self.condition = condition
        judge = RowJudge(lanes: lanes)
        rows = try database.prepare("SELECT \(Self.columns) FROM jobs WHERE \(condition)")
    }

    /// - Returns: the jobs, none only where there is none that is whole; and whether there may be more of them.
    func read(
        _ first: Int64, _ second: Int64, _ bound: Bound
    ) throws(SpoolError) -> (jobs: [WaitingJob], isCut: Bool) {
        var bound = bound
        let wanted = bound.limit
        while true {
            let (jobs, passed) = try pass(first, second, bound)
            // A whole read of damaged rows must not look like the end.
            guard jobs.isEmpty, passed >= bound.limit, wanted > 0 else {
                let bytes = jobs.reduce(0) { $0 + $1.body.readableBytes }
                return (jobs, !jobs.isEmpty && (passed >= bound.limit || bytes >= bound.bytesMax))
            }
            bound.limit = passed + wanted
        }
    }

    /// - Returns: the whole ones, and how many rows there were.
    private func pass(
        _ first: Int64, _ second: Int64, _ bound: Bound
    ) throws(SpoolError) -> (jobs: [WaitingJob], rows: Int) {
        do throws(SpoolError) {
            return try passQuickly(first, second, bound)
        } catch {
            guard case .corrupt = error else { throw error }
            let found = try passOneByOne(first, second, bound)
            // It was a row's own text that could not be read: that is noted, and the file as a whole is well.
            database.forgiveCorruption()
            return found
        }
    }

    private func passQuickly(
        _ first: Int64, _ second: Int64, _ bound: Bound
    ) throws(SpoolError) -> (jobs: [WaitingJob], rows: Int) {
        defer { rows.reset() }
        bind(rows, first, second, bound.limit)
        var jobs: [WaitingJob] = []
        var bytes = 0
        var count = 0
        while jobs.isEmpty || bytes < bound.bytesMax, try rows.step() {
            count += 1
            guard let job = job(rows) else { continue }
            bytes += job.body.readableBytes
            jobs.append(job)
        }
        return (jobs, count)
    }

    /// The ids alone are found without the long values, which lie on pages of their own.
    private func passOneByOne(
        _ first: Int64, _ second: Int64, _ bound: Bound
    ) throws(SpoolError) -> (jobs: [WaitingJob], rows: Int) {
        let ids = try database.prepare("SELECT id FROM jobs WHERE \(condition)")
        let one = try database.prepare("SELECT \(Self.columns) FROM jobs WHERE id = ?")
        bind(ids, first, second, bound.limit)
        var jobs: [WaitingJob] = []
        var bytes = 0
        var count = 0
        while jobs.isEmpty || bytes < bound.bytesMax, try ids.step() {
            count += 1
            let id = JobID(raw: ids.integer(0))
            guard ledger[id] == nil, let job = try read(id, one) else { continue }
            bytes += job.body.readableBytes
            jobs.append(job)
        }
        return (jobs, count)
    }

    private func read(_ id: JobID, _ one: Statement) throws(SpoolError) -> WaitingJob? {
        defer { one.reset() }
        one.bind(id.raw, 1)
        do throws(SpoolError) {
            return try one.step() ? job(one) : nil
        } catch {
            guard case .corrupt = error else { throw error }
            ledger.find(.unreadable(id))
            return nil
        }
    }

    private func bind(_ statement: Statement, _ first: Int64, _ second: Int64, _ limit: Int) {
        statement.bind(first, 1)
        statement.bind(second, 2)
        statement.bind(limit, 3)
    }

    /// Nil where it is damaged.
    private func job(_ row: Statement) -> WaitingJob? {
        let id = JobID(raw: row.integer(0))
        guard ledger[id] == nil else { return nil }
        if let fault = judge.fault(row, from: Self.judged) {
            ledger.find(DamagedRow(id: id, reason: fault))
            return nil
        }
        let c = Self.judged
        let due = row.time(c + 5)
        return WaitingJob(
            id: id, state: due == nil ? .ready : .scheduled, kind: kinds.index(of: row.integer(1)),
            priority: UInt8(clamping: row.integer(c + 1)), uid: UInt32(truncatingIfNeeded: row.integer(c + 2)),
            queue: UInt16(truncatingIfNeeded: row.integer(c + 3)), attempts: Int(row.integer(c + 8)),
            attemptsMax: Int(row.integer(c + 9)), expiresAt: WallTime(milliseconds: row.integer(c + 7)),
            readyAt: due ?? id.time,
            fates: row.isNull(c + 11) ? nil : row.bytes(c + 11).map { Fate(rawValue: $0) ?? .open },
            isKeyed: row.integer(2) != 0, body: ByteBuffer(bytes: row.bytes(c + RowJudge.body)),
            length: Int(row.integer(3)))
    }

    // MARK: Large lines

    /// The line of one job; nil where it is gone, or damaged.
    func body(_ id: JobID) throws(SpoolError) -> ByteBuffer? {
        guard ledger[id] == nil else { return nil }
        do throws(SpoolError) {
            guard let body = try database.blob("body", of: "jobs", row: id.raw) else { return nil }
            guard let fault = try judge.fault(body, of: id, in: database) else { return body }
            ledger.find(DamagedRow(id: id, reason: fault))
        } catch {
            guard case .corrupt = error else { throw error }
            ledger.find(.unreadable(id))
            database.forgiveCorruption()
        }
        return nil
    }
}
