// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Puts new jobs into the file, each with its lane and, where it has one, its key.
final class SQLiteAppends {
    private let usual: UsualRows
    private let insert: Statement
    private let insertReport: Statement
    private let kinds: KindNumbers
    private let lanes: LaneNumbers
    private let keys: SQLiteKeys

    init(_ database: Database, kinds: KindNumbers, lanes: LaneNumbers, keys: SQLiteKeys) throws(SpoolError) {
        self.kinds = kinds
        self.lanes = lanes
        self.keys = keys
        usual = try UsualRows(database)
        insert = try database.prepare(
            """
            INSERT INTO jobs (id, state, priority, kind, uid, queue, lane, due, expires, attempts_max, keyed, checksum, body)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)
        insertReport = try database.prepare(
            """
            INSERT INTO jobs (id, state, priority, kind, uid, queue, lane, due, expires, checksum, history, body)
            VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)
    }

    /// The job that tells of a settlement.
    func append(_ report: ReportJob, of settlement: Settlement) throws(SpoolError) {
        let lane = Lane(priority: report.priority, queue: settlement.queue, uid: settlement.uid)
        insertReport.bind(report.id.raw, 1)
        insertReport.bind(Int(report.priority), 2)
        insertReport.bind(kinds.number(of: settlement.kind), 3)
        insertReport.bind(Int(settlement.uid), 4)
        insertReport.bind(Int(settlement.queue), 5)
        insertReport.bind(lanes.number(of: lane), 6)
        insertReport.bind(report.dueAt, 7)
        insertReport.bind(report.expiresAt, 8)
        insertReport.bind(Int64(bitPattern: report.line.withUnsafeBytes { Checksum.of($0) }), 9)
        insertReport.bind(settlement.reportHistory, 10)
        insertReport.bind(report.line, 11)
        try insertReport.run()
    }

    func append(_ chunks: [Chunk]) throws(SpoolError) {
        defer { usual.forget() }
        for chunk in chunks { try append(chunk) }
        try usual.flush()
    }

    private func append(_ chunk: Chunk) throws(SpoolError) {
        // Usual rows point into these bytes for a while after this. They stay where they are: the chunk holds them, and
        // lives until its jobs are committed.
        let result = chunk.bytes.withUnsafeReadableBytes { bytes in
            Result<Void, SpoolError> { () throws(SpoolError) in
                var id = chunk.firstID
                for (index, job) in chunk.submissions.enumerated() where chunk.isKept(index) {
                    try append(job, id, uid: chunk.uid, UnsafeRawBufferPointer(rebasing: bytes[job.range]))
                    id = id.advanced(by: 1)
                }
            }
        }
        try result.get()
    }

    private func append(
        _ job: Submission, _ id: JobID, uid: UInt32, _ line: UnsafeRawBufferPointer
    ) throws(SpoolError) {
        let lane = lanes.number(of: Lane(priority: job.priority, queue: job.queue, uid: uid))
        if lane == 0, job.dueAt == nil, job.attemptsMax == 0, job.key == nil {
            let kind = kinds.number(of: job.kind)
            return try usual.append(
                UsualRows.Row(id: id.raw, kind: kind, uid: Int64(uid), expires: job.expiresAt, line: line))
        }
        insert.bind(id.raw, 1)
        insert.bind(Int(job.dueAt == nil ? JobState.ready.rawValue : JobState.scheduled.rawValue), 2)
        insert.bind(Int(job.priority), 3)
        insert.bind(kinds.number(of: job.kind), 4)
        insert.bind(Int(uid), 5)
        insert.bind(Int(job.queue), 6)
        insert.bind(lane, 7)
        insert.bind(job.dueAt, 8)
        insert.bind(job.expiresAt, 9)
        insert.bind(job.attemptsMax, 10)
        insert.bind(job.key == nil ? 0 : 1, 11)
        insert.bind(Int64(bitPattern: Checksum.of(line)), 12)
        insert.bindUnowned(line, 13)
        try insert.run()
        if let key = job.key { try keys.keep(key, uid: uid, kind: job.kind, job: id) }
    }
}
