// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// Whether a row of `jobs` can be what was written: each value by itself, and the body by its checksum.
///
/// SQLite knows when its own structure is broken. What lies inside a row it takes as it comes, and a CHECK is looked at
/// when a row is written, not when it is read.
struct RowJudge {
    let lanes: LaneNumbers

    /// In the order in which `fault` reads them.
    static let columns = columns(large: true)

    /// - Parameter large: false leaves the text of a large row unread and unjudged.
    static func columns(large: Bool) -> String {
        let body = { (name: String) in
            large ? name : "CASE WHEN length(body) <= \(Limits.largeBodyBytes) THEN \(name) END"
        }
        return """
            state, priority, uid, queue, lane, due, resumes, expires, attempts, attempts_max, crashes, fates,
            \(body("checksum")), \(body("body"))
            """
    }

    /// Of `body` among the columns; `fates` stands two before.
    static let body: CInt = 13

    /// - Parameter first: the number of the first of `columns` in `row`.
    /// - Returns: nil where nothing is wrong, else what is, for people.
    func fault(_ row: Statement, from first: CInt) -> String? {
        valueFault(row, from: first) ?? fatesFault(row, first + 11) ?? bodyFault(row, first + 12)
    }

    private func valueFault(_ row: Statement, from first: CInt) -> String? {
        guard (0...3).contains(row.integer(first)) else { return "there is no state \(row.integer(first))" }
        let (priority, uid, queue) = (row.integer(first + 1), row.integer(first + 2), row.integer(first + 3))
        guard (0...Int64(Limits.priorityMax)).contains(priority) else { return "there is no priority \(priority)" }
        guard let uid = UInt32(exactly: uid) else { return "there is no user \(uid)" }
        guard let queue = UInt16(exactly: queue) else { return "there is no queue \(queue)" }
        let lane = lanes.number(of: Lane(priority: UInt8(priority), queue: queue, uid: uid))
        guard lane == row.integer(first + 4) else { return "its lane is not that of its priority, queue and user" }
        guard (row.integer(first) == 1) != row.isNull(first + 5) else { return "its state and its due time disagree" }
        for column in [first + 5, first + 6, first + 7] where !row.isNull(column) {
            guard Self.times.contains(row.integer(column)) else { return "one of its times is none" }
        }
        for column in [first + 8, first + 9, first + 10] {
            guard (0...Int64(Int32.max)).contains(row.integer(column)) else { return "one of its counts is none" }
        }
        return nil
    }

    /// Milliseconds up to the end of the year 9999, where RFC 3339 ends.
    private static let times: ClosedRange<Int64> = 0...253_402_300_799_999

    private func fatesFault(_ row: Statement, _ column: CInt) -> String? {
        guard !row.isNull(column) else { return nil }
        let fates = row.bytes(column)
        return fates.allSatisfy { Fate(rawValue: $0) != nil } ? nil : "a recipient's fate is none"
    }

    /// Rows of the first format have no checksum.
    private func bodyFault(_ row: Statement, _ column: CInt) -> String? {
        guard !row.isNull(column) else { return nil }
        let sum = Int64(bitPattern: Checksum.of(row.bytes(column + 1)))
        return sum == row.integer(column) ? nil : Self.changed
    }

    private static let changed = "its checksum says that its text was changed"

    /// The same for a body that was read by itself.
    func fault(_ body: ByteBuffer, of id: JobID, in database: Database) throws(SpoolError) -> String? {
        guard let kept = try database.integer("SELECT checksum FROM jobs WHERE id = \(id.raw) AND checksum IS NOT NULL")
        else { return nil }
        let sum = body.withUnsafeReadableBytes { Int64(bitPattern: Checksum.of($0)) }
        return sum == kept ? nil : Self.changed
    }
}
