// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Jobs that are ready at once and in the main lane, on their way into the file: nearly every job is one of these.
///
/// Each run of a statement opens and closes the table and its three indexes, which costs as much as a row. So rows are
/// gathered, and go in up to sixteen at a time; each value that is bound costs time too, and there are few.
final class UsualRows {
    struct Row {
        var id: Int64
        var kind: Int64
        var uid: Int64
        var expires: WallTime
        /// Must stay where it is until `flush`.
        var line: UnsafeRawBufferPointer
    }

    /// The most rows first.
    private let inserts: [(rows: Int, statement: Statement)]
    private let most: Int
    private var gathered: [Row] = []

    init(_ database: Database) throws(SpoolError) {
        var inserts: [(rows: Int, statement: Statement)] = []
        for rows in Self.sizes {
            let values = Array(repeating: "(?, 0, \(Limits.priorityDefault), ?, ?, ?, ?, ?)", count: rows)
            let statement = try database.prepare(
                """
                INSERT INTO jobs (id, state, priority, kind, uid, expires, checksum, body)
                VALUES \(values.joined(separator: ", "))
                """)
            inserts.append((rows, statement))
        }
        self.inserts = inserts
        most = Self.sizes[0]
        gathered.reserveCapacity(most)
    }

    private static let sizes = [16, 8, 4, 2, 1]

    func append(_ row: Row) throws(SpoolError) {
        gathered.append(row)
        if gathered.count == most { try flush() }
    }

    /// Puts in what was gathered.
    func flush() throws(SpoolError) {
        // Taken out, so that nobody else is asked about at each row.
        var taken: [Row] = []
        swap(&taken, &gathered)
        defer {
            taken.removeAll(keepingCapacity: true)
            swap(&taken, &gathered)
        }
        var first = 0
        for (rows, statement) in inserts {
            while taken.count - first >= rows {
                for index in 0..<rows { bind(taken[first + index], to: statement, at: CInt(6 * index)) }
                try statement.run()
                first += rows
            }
        }
    }

    /// Nothing of it is to be written: the transaction has failed.
    func forget() { gathered.removeAll(keepingCapacity: true) }

    private func bind(_ row: Row, to statement: Statement, at place: CInt) {
        statement.bind(row.id, place + 1)
        statement.bind(row.kind, place + 2)
        statement.bind(row.uid, place + 3)
        statement.bind(row.expires.milliseconds, place + 4)
        statement.bind(Int64(bitPattern: Checksum.of(row.line)), place + 5)
        statement.bindUnowned(row.line, place + 6)
    }
}
