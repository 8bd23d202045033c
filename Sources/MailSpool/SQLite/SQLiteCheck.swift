// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// One check under way, within one transaction of a connection that only reads.
final class SQLiteCheck {
    private let database: Database
    private let kinds: KindNumbers
    private let judge: RowJudge
    private let rows: UnreadableRows
    private let watch: (SpoolCheckProgress) -> Bool
    private var progress = SpoolCheckProgress()
    private var tally = Tally()
    /// What the rows of this moment's record say.
    private var recorded: [JobID: (isUnreadable: Bool, hasEnded: Bool)] = [:]
    private(set) var report = SpoolCheckReport()

    init(
        _ database: Database, _ checker: SpoolChecker, _ watch: @escaping (SpoolCheckProgress) -> Bool
    ) throws(SpoolError) {
        self.database = database
        self.watch = watch
        kinds = checker.kinds
        judge = RowJudge(lanes: checker.lanes)
        rows = try UnreadableRows(database, lanes: checker.lanes, ledger: checker.ledger)
    }

    func run(isFull: Bool) throws(SpoolError) {
        let kept = try SQLiteCounts(database, kinds: kinds).read().tally
        progress.total = kept.jobs
        database.watch { [unowned self] in watch(progress) }
        defer { database.watch(nil) }
        try checkStructure(isFull: isFull)
        do throws(SpoolError) {
            progress.stage = .jobs
            try checkRecord()
            try checkJobs()
            progress.stage = .keys
            try checkKeys()
            try compare(kept)
        } catch {
            // What can be read of a damaged file is said all the same.
            guard case .corrupt = error else { throw error }
            report.complain(error.message)
        }
        report.damaged = rows.ledger.all
    }

    /// https://sqlite.org/pragma.html#pragma_integrity_check
    private func checkStructure(isFull: Bool) throws(SpoolError) {
        let pragma = isFull ? "integrity_check" : "quick_check"
        let lines = try database.prepare("PRAGMA \(pragma)(\(SpoolCheckReport.problemsMax))")
        while try lines.step() {
            let line = lines.text(0)
            if line != "ok" { report.complain(line) }
        }
    }

    // MARK: Jobs

    private func checkRecord() throws(SpoolError) {
        let record = try database.prepare("SELECT id, unreadable, ended FROM damaged")
        while try record.step() {
            recorded[JobID(raw: record.integer(0))] = (record.integer(1) != 0, record.integer(2) != 0)
        }
    }

    /// Between two parts of so many rows the watch is told how far it has come.
    private static let partRows = 1000

    private struct Part {
        var tally = Tally()
        var unsummed = 0
        var rows = 0
        var last = JobID(raw: 0)
    }

    private func checkJobs() throws(SpoolError) {
        var after = JobID(raw: Int64.min)
        while true {
            let part = try rows.round(after: after) { () throws(SpoolError) in try readJobs(after) }
            for (group, count) in part.tally.groups { tally.add(count, in: group) }
            report.unsummed += part.unsummed
            guard part.rows > 0 else { break }
            after = part.last
            progress.done += part.rows
            guard watch(progress) else { throw .failed(message: "the check was ended") }
        }
        try countUnreadable()
        report.jobs = tally.jobs
    }

    private func readJobs(_ after: JobID) throws(SpoolError) -> Part {
        let jobs = try database.prepare(
            """
            SELECT id, kind, length(body), \(RowJudge.columns) FROM jobs
            WHERE id > ? AND NOT unreadable(id) ORDER BY id LIMIT \(Self.partRows)
            """)
        jobs.bind(after.raw, 1)
        var part = Part()
        while try jobs.step() {
            part.last = JobID(raw: jobs.integer(0))
            part.rows += 1
            if let fault = judge.fault(jobs, from: 3) {
                rows.ledger.find(DamagedRow(id: part.last, reason: fault))
            }
            if jobs.isNull(3 + RowJudge.body - 1) { part.unsummed += 1 }
            let group = JobGroup(
                queue: UInt16(truncatingIfNeeded: jobs.integer(6)), uid: UInt32(truncatingIfNeeded: jobs.integer(5)),
                kind: kinds.index(of: jobs.integer(1)))
            count(part.last, jobs.integer(3), group, Int(jobs.integer(2)), &part.tally)
        }
        return part
    }

    /// Of these the values before the long ones can still be told.
    private func countUnreadable() throws(SpoolError) {
        let jobs = try database.prepare(
            "SELECT id, state, queue, uid, kind, length(body) FROM jobs WHERE unreadable(id)")
        while try jobs.step() {
            let group = JobGroup(
                queue: UInt16(truncatingIfNeeded: jobs.integer(2)), uid: UInt32(truncatingIfNeeded: jobs.integer(3)),
                kind: kinds.index(of: jobs.integer(4)))
            count(JobID(raw: jobs.integer(0)), jobs.integer(1), group, Int(jobs.integer(5)), &tally)
        }
    }

    private func count(_ id: JobID, _ state: Int64, _ group: JobGroup, _ bytes: Int, _ tally: inout Tally) {
        let known = recorded[id]
        guard known?.hasEnded != true else { return }
        let own = JobState(rawValue: UInt8(clamping: state)) ?? .held
        tally.add(known == nil ? own : .held, jobs: 1, bytes: bytes, in: group)
    }

    // MARK: The rest

    private func checkKeys() throws(SpoolError) {
        report.keys = Int(try database.integer("SELECT count(*) FROM keys") ?? 0)
        let orphans = try database.integer(
            "SELECT count(*) FROM keys WHERE finished_at IS NULL AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = keys.job)"
        )
        if let orphans, orphans > 0 {
            report.complain("\(orphans) idempotency keys lead to jobs that are gone")
        }
        let keyless = try database.integer(
            "SELECT count(*) FROM jobs WHERE keyed <> 0 AND NOT EXISTS (SELECT 1 FROM keys WHERE job = jobs.id)")
        if let keyless, keyless > 0 { report.complain("\(keyless) jobs have lost their idempotency keys") }
        let lost = try database.integer(
            "SELECT count(*) FROM damaged WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = damaged.id)")
        if let lost, lost > 0 { report.complain("\(lost) jobs on record as damaged are gone") }
        let both = try database.integer(
            """
            SELECT count(*) FROM jobs JOIN finished USING (id)
            WHERE NOT EXISTS (SELECT 1 FROM damaged WHERE damaged.id = jobs.id AND ended)
            """)
        if let both, both > 0 { report.complain("\(both) jobs are finished and waiting at once") }
    }

    private func compare(_ kept: Tally) throws(SpoolError) {
        tally.finished = Int(try database.integer("SELECT count(*) FROM finished") ?? 0)
        report.finished = tally.finished
        guard tally != kept else { return }
        report.isMiscounted = true
        report.complain(
            "the tally says \(kept.jobs) jobs of \(kept.bytes) bytes and \(kept.finished) finished ones, the rows say "
                + "\(tally.jobs), \(tally.bytes) and \(tally.finished), or they are of other states or users")
    }
}
