// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import PostgreSQL

/// What one transaction changes in the tally.
struct CountDelta {
    private(set) var groups: [JobGroup: GroupCount] = [:]
    var finished = 0

    mutating func add(_ state: JobState, jobs: Int, bytes: Int, in group: JobGroup) {
        guard !state.isFinal else { return finished += jobs }
        groups[group, default: GroupCount()].add(state, jobs: jobs, bytes: bytes)
    }

    mutating func move(_ settlement: Settlement) {
        add(settlement.was, jobs: -1, bytes: -settlement.bytes, in: settlement.group)
        add(settlement.state, jobs: 1, bytes: settlement.bytes, in: settlement.group)
        if let report = settlement.report { add(.scheduled, jobs: 1, bytes: report.line.count, in: settlement.group) }
    }

    mutating func add(_ changed: ChangedJob, bytes: Int) {
        add(changed.was, jobs: -1, bytes: changed.was.isFinal ? 0 : -bytes, in: changed.group)
        if let state = changed.state { add(state, jobs: 1, bytes: state.isFinal ? 0 : bytes, in: changed.group) }
    }
}

/// The tally in the database. Each node adds up what it has changed itself, in rows that no other node writes; how many
/// jobs there are is the sum over the nodes, whose parts may well be below zero.
struct PostgreSQLCounts {
    let node: Int64
    let kinds: KindTable

    func queries(_ delta: CountDelta, lastID: JobID = JobID(raw: 0)) -> [Query] {
        var queries: [Query] = []
        let groups = Array(delta.groups)
        if !groups.isEmpty { queries.append(add(groups)) }
        if delta.finished != 0 || lastID.raw > 0 {
            queries.append(
                Query(
                    """
                    UPDATE ledgers SET finished = finished + $2, last_id = greatest(last_id, $3)
                    WHERE node = $1::int8
                    """,
                    [.integer(node), .integer(delta.finished), .integer(lastID.raw)]))
        }
        return queries
    }

    private func add(_ groups: [(key: JobGroup, value: GroupCount)]) -> Query {
        func column(_ value: ((key: JobGroup, value: GroupCount)) -> Int64) -> Parameter {
            .integers(groups.map(value))
        }
        return Query(
            """
            INSERT INTO counts SELECT $1::int8, * FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[],
            $7::int8[], $8::int8[], $9::int8[]) ON CONFLICT (node, queue, uid, kind) DO UPDATE SET
            ready = counts.ready + excluded.ready, scheduled = counts.scheduled + excluded.scheduled,
            held = counts.held + excluded.held, failed = counts.failed + excluded.failed,
            bytes = counts.bytes + excluded.bytes
            """,
            [
                .integer(node), column { Int64($0.key.queue) }, column { Int64($0.key.uid) },
                column { kinds.number(of: $0.key.kind) }, column { Int64($0.value.ready) },
                column { Int64($0.value.scheduled) }, column { Int64($0.value.held) },
                column { Int64($0.value.failed) }, column { Int64($0.value.bytes) },
            ])
    }

    /// Of the whole fleet, and the highest id that this node has given.
    func read(_ link: Link) throws(SpoolError) -> (tally: Tally, lastID: JobID) {
        let rows = try link.run([
            Query(
                """
                SELECT queue, uid, kind, sum(ready)::int8, sum(scheduled)::int8, sum(held)::int8, sum(failed)::int8,
                sum(bytes)::int8 FROM counts GROUP BY queue, uid, kind
                """),
            Query("SELECT coalesce(sum(finished), 0)::int8 FROM ledgers"),
            Query("SELECT last_id FROM ledgers WHERE node = $1::int8", [.integer(node)]),
        ])
        var tally = Tally()
        tally.finished = Int(rows[1].integer(0, 0))
        for row in 0..<rows[0].count { add(rows[0], row, to: &tally) }
        return (tally, JobID(raw: rows[2].count == 1 ? rows[2].integer(0, 0) : 0))
    }

    private func add(_ rows: Rows, _ row: Int, to tally: inout Tally) {
        let group = JobGroup(
            queue: UInt16(truncatingIfNeeded: rows.integer(row, 0)),
            uid: UInt32(truncatingIfNeeded: rows.integer(row, 1)), kind: kinds.index(of: rows.integer(row, 2)))
        var count = GroupCount()
        count.ready = Int(rows.integer(row, 3))
        count.scheduled = Int(rows.integer(row, 4))
        count.held = Int(rows.integer(row, 5))
        count.failed = Int(rows.integer(row, 6))
        count.bytes = Int(rows.integer(row, 7))
        tally.add(count, in: group)
    }
}
