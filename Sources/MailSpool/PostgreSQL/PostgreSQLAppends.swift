// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import PostgreSQL

/// Puts all new jobs of a commit into the table with one statement, column by column.
struct PostgreSQLAppends {
    let kinds: KindTable

    private static let insert = """
        INSERT INTO jobs (id, state, priority, kind, uid, queue, due, expires, attempts_max, keyed, history, body)
        SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
        $8::int8[], $9::int8[], $10::int8[], $11::bytea[], $12::bytea[])
        """
    private static let insertKeys = """
        INSERT INTO keys (uid, kind, name, job, digest)
        SELECT * FROM unnest($1::int8[], $2::int8[], $3::bytea[], $4::int8[], $5::bytea[])
        """

    private struct Row {
        var id: JobID
        var state: JobState
        var priority: UInt8
        var group: JobGroup
        var dueAt: WallTime?
        var expiresAt: WallTime
        var attemptsMax: Int
        var key: IdempotencyKey?
        var history: [UInt8]?
    }

    /// Adds what is appended to `delta`. Keys come in an order that is the same for all nodes, so that two who have the
    /// same ones do not wait for each other.
    func queries(_ chunks: [Chunk], _ delta: inout CountDelta) -> [Query] {
        var rows: [Row] = []
        var bytes = 0
        for chunk in chunks {
            chunk.forEachKept { index, id in
                rows.append(row(chunk, index, id))
                bytes += chunk.submissions[index].range.count
            }
        }
        guard !rows.isEmpty else { return [] }
        var bodies = ArrayParameter.blobs(count: rows.count, bytes: bytes)
        var place = 0
        for chunk in chunks {
            chunk.bytes.withUnsafeReadableBytes { bytes in
                chunk.forEachKept { index, _ in
                    let range = chunk.submissions[index].range
                    bodies.append(UnsafeRawBufferPointer(rebasing: bytes[range]))
                    delta.add(rows[place].state, jobs: 1, bytes: range.count, in: rows[place].group)
                    place += 1
                }
            }
        }
        return insertion(rows, bodies)
    }

    private func row(_ chunk: Chunk, _ index: Int, _ id: JobID) -> Row {
        let job = chunk.submissions[index]
        return Row(
            id: id, state: job.dueAt == nil ? .ready : .scheduled, priority: job.priority,
            group: JobGroup(queue: job.queue, uid: chunk.uid, kind: job.kind), dueAt: job.dueAt,
            expiresAt: job.expiresAt, attemptsMax: job.attemptsMax, key: job.key)
    }

    /// Jobs that tell of the ends of others.
    func reports(of ends: [Settlement]) -> [Query] {
        var rows: [Row] = []
        var lines: [[UInt8]] = []
        for end in ends {
            guard let report = end.report else { continue }
            rows.append(
                Row(
                    id: report.id, state: .scheduled, priority: report.priority, group: end.group,
                    dueAt: report.dueAt, expiresAt: report.expiresAt, attemptsMax: 0, history: end.reportHistory))
            lines.append(report.line)
        }
        guard !rows.isEmpty else { return [] }
        var bodies = ArrayParameter.blobs(count: rows.count, bytes: lines.reduce(0) { $0 + $1.count })
        for line in lines { bodies.append(line) }
        return insertion(rows, bodies)
    }

    private func insertion(_ rows: [Row], _ bodies: ArrayParameter) -> [Query] {
        func column(_ value: (Row) -> Int64?) -> Parameter { .integers(rows.map(value)) }
        let insert = Query(
            Self.insert,
            [
                column { $0.id.raw }, column { Int64($0.state.rawValue) }, column { Int64($0.priority) },
                column { kinds.number(of: $0.group.kind) }, column { Int64($0.group.uid) },
                column { Int64($0.group.queue) }, column { $0.dueAt?.milliseconds },
                column { $0.expiresAt.milliseconds }, column { Int64($0.attemptsMax) },
                column { $0.key == nil ? 0 : 1 }, .blobs(rows.map(\.history)), bodies.parameter,
            ])
        return [insert] + keys(rows)
    }

    private func keys(_ rows: [Row]) -> [Query] {
        let keyed = rows.filter { $0.key != nil }.sorted { Self.order($0, $1) }
        guard !keyed.isEmpty else { return [] }
        let insert = Query(
            Self.insertKeys,
            [
                .integers(keyed.map { Int64($0.group.uid) }), .integers(keyed.map { kinds.number(of: $0.group.kind) }),
                .blobs(keyed.map { $0.key?.name }), .integers(keyed.map(\.id.raw)),
                .blobs(keyed.map { $0.key?.digest }),
            ])
        return [insert]
    }

    private static func order(_ left: Row, _ right: Row) -> Bool {
        if left.group.uid != right.group.uid { return left.group.uid < right.group.uid }
        return (left.key?.name ?? []).lexicographicallyPrecedes(right.key?.name ?? [])
    }
}
