// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import PostgreSQL

/// The spool in a PostgreSQL database that many daemons share: docs/decisions/0036 says how they keep apart.
///
/// A commit is two round trips, however many jobs are in it. The server syncs its log before it answers to COMMIT
/// (synchronous_commit), which is what "answered = on disk" rests on.
package final class PostgreSQLKeeping: Keeping {
    package private(set) var opened: OpenedSpool
    private let link: Link
    private let location: FleetLocation
    private let kinds: KindTable
    private let member: FleetMember
    private let keeper: FleetKeeper
    private let counts: PostgreSQLCounts
    private let keys: PostgreSQLKeys
    private let appends: PostgreSQLAppends
    private let settlements = PostgreSQLSettlements()
    private let changes: PostgreSQLChanges
    /// Of the start before, until `recover` has given back what it had.
    private var formerSession: Int64
    private let lock: SpoolLock
    private var refreshAt = 0.0
    private var notifyAt = 0.0

    /// The other nodes' part of the tally is at most so old.
    private static let refreshSeconds = 0.25
    /// One notification for all that is put in within it: NOTIFY lets one transaction commit at a time.
    private static let notifySeconds = 0.05

    /// - Parameters:
    ///   - node: this node's name; no two that run may have the same.
    ///   - statePath: of files on this machine: beside it stand a lock, and what tells this node from others that bear
    ///     the same name.
    ///   - kinds: names of the daemon's kinds; `Submission.kind` is an index into it.
    ///   - furtherSteps: of formats that are yet to come, for tests.
    package init(
        _ location: FleetLocation, node: String, statePath: String, kinds names: [String],
        furtherSteps: [[String]] = []
    ) throws(SpoolError) {
        let steps = FleetSchema.steps + furtherSteps
        self.location = location
        lock = try SpoolLock(path: statePath)
        let token = try NodeToken.read(path: statePath + ".node")
        let desk = FleetDesk(name: node, token: token, format: Int64(steps.count))
        let link = Link(location, application: "maild \(node) writer")
        let askedAt = FleetMember.now()
        let (entry, kinds) = try link.transaction { () throws(SpoolError) in
            try FleetSchema.migrate(link, steps)
            let kinds = try KindTable(names, link)
            return ((try desk.enter(link), kinds), [])
        }
        link.marksOf = entry.number
        self.link = link
        self.kinds = kinds
        formerSession = entry.formerSession
        member = FleetMember(number: entry.number, name: node, session: entry.session, askedAt: askedAt)
        counts = PostgreSQLCounts(node: entry.number, kinds: kinds)
        keys = PostgreSQLKeys(kinds: kinds)
        appends = PostgreSQLAppends(kinds: kinds)
        changes = PostgreSQLChanges(kinds: kinds, member: member)
        opened = try Self.find(link, counts)
        keeper = try FleetKeeper(location, desk, member)
    }

    private static func find(_ link: Link, _ counts: PostgreSQLCounts) throws(SpoolError) -> OpenedSpool {
        let (tally, lastID) = try counts.read(link)
        let settings = try FleetSettings(node: counts.node).read(link)
        return OpenedSpool(
            tally: tally, lastID: lastID, node: counts.node, settings: settings, queues: try queues(link))
    }

    private static func queues(_ link: Link) throws(SpoolError) -> [String: UInt16] {
        let rows = try link.run("SELECT name, number FROM queues")
        var queues: [String: UInt16] = [:]
        for row in 0..<rows.count { queues[rows.text(row, 0)] = UInt16(truncatingIfNeeded: rows.integer(row, 1)) }
        return queues
    }

    package var fleet: FleetMember? { member }
    package var storedBytes: @Sendable () -> Int { { [member] in member.storedBytes } }

    // MARK: Writing

    @discardableResult
    package func commit(_ batch: Batch) throws(SpoolError) -> Tally {
        if let refusal = member.refusal { throw refusal }
        let kept = try link.transaction { () throws(SpoolError) in
            var delta = CountDelta()
            let taken = try write(batch, &delta)
            return (taken, last(batch, taken, &delta))
        }
        var tally = batch.tally
        for (settlement, isKept) in zip(batch.settlements, kept) where !isKept { tally.moveBack(settlement) }
        return tally
    }

    /// Of each settlement whether it took effect.
    private func write(_ batch: Batch, _ delta: inout CountDelta) throws(SpoolError) -> [Bool] {
        var queries = appends.queries(batch.chunks, &delta)
        var taken: [Set<JobID>] = []
        // Nearly always one: a job is seldom settled twice within a commit.
        for list in PostgreSQLSettlements.lists(batch.settlements) {
            let ends = settlements.queries(list)
            let rows = try link.run(queries + ends).suffix(ends.count)
            taken.append(Set(rows.flatMap { rows in (0..<rows.count).map { JobID(raw: rows.integer($0, 0)) } }))
            queries = []
        }
        if !queries.isEmpty { try link.run(queries) }
        var seen: [JobID: Int] = [:]
        return batch.settlements.map { end in
            let place = seen[end.id, default: 0]
            seen[end.id] = place + 1
            return taken[place].contains(end.id)
        }
    }

    /// What goes out with COMMIT.
    private func last(_ batch: Batch, _ isKept: [Bool], _ delta: inout CountDelta) -> [Query] {
        let ends = zip(batch.settlements, isKept).filter(\.1).map(\.0)
        for end in ends { delta.move(end) }
        let keyed = ends.filter { $0.isKeyed && $0.state.isFinal }.map { ($0.id, $0.endedAt, $0.state) }
        var queries = appends.reports(of: ends) + PostgreSQLSettlements.finishKeys(keyed)
        queries += batch.settings.flatMap { FleetSettings(node: counts.node).set($0.name, $0.value) }
        queries += counts.queries(delta, lastID: batch.lastID)
        if delta.groups.values.contains(where: { $0.ready + $0.scheduled > 0 }) { queries += notification() }
        return queries
    }

    /// Other nodes are told that there is something to do. Who is not told in time looks by itself.
    private func notification() -> [Query] {
        let now = FleetMember.now()
        guard member.nodes > 1, now >= notifyAt else { return [] }
        notifyAt = now + Self.notifySeconds
        return [Query("SELECT pg_notify('maild', '')")]
    }

    package func current(_ tally: Tally) throws(SpoolError) -> Tally {
        if let refusal = member.refusal { throw refusal }
        let now = FleetMember.now()
        guard member.nodes > 1, now >= refreshAt else { return tally }
        refreshAt = now + Self.refreshSeconds
        return try counts.read(link).tally
    }

    package func find(_ key: [UInt8], uid: UInt32, kind: UInt8) throws(SpoolError) -> KnownKey? {
        try keys.find(key, uid: uid, kind: kind, link)
    }

    package func change(_ order: ChangeOrder, tally: Tally) throws(SpoolError) -> ChangeOutcome {
        try link.transaction { () throws(SpoolError) in
            var outcome = ChangeOutcome()
            outcome.tally = tally
            var delta = CountDelta()
            var queries = try changes.change(order, &outcome, &delta, link)
            if !outcome.changed.isEmpty { queries += notification() }
            return (outcome, queries + counts.queries(delta))
        }
    }

    package func take(
        _ jobs: [ImportedJob], tally: Tally, limits: SpoolLimits, lastID: JobID
    ) throws(SpoolError) -> ImportOutcome {
        let imports = PostgreSQLImports(kinds: kinds, keys: keys)
        return try link.transaction { () throws(SpoolError) in
            var outcome = ImportOutcome(tally: tally)
            var delta = CountDelta()
            try imports.take(jobs, limits, &outcome, &delta, link)
            return (outcome, counts.queries(delta, lastID: lastID) + notification())
        }
    }

    package func define(queues: [String]) throws(SpoolError) -> [String: UInt16] {
        try link.transaction { () throws(SpoolError) in
            let insert = """
                INSERT INTO queues SELECT max(number) + 1, $1 FROM queues
                HAVING NOT EXISTS (SELECT 1 FROM queues WHERE name = $1)
                """
            return ((), [FleetSchema.lock] + queues.map { Query(insert, [.text($0)]) })
        }
        opened.queues = try Self.queues(link)
        return opened.queues
    }

    package func recover(inHand: [JobID], at time: WallTime) throws(SpoolError) -> Recovery {
        let former = formerSession
        let recovery = try link.transaction { () throws(SpoolError) in
            var delta = CountDelta()
            var (recovery, queries) = try changes.recover(inHand, at: time, former: former, &delta, link)
            if former > 0 { queries.append(Query("UPDATE jobs SET lease = 0 WHERE lease = $1", [.integer(former)])) }
            return (recovery, queries + counts.queries(delta))
        }
        formerSession = 0
        opened.tally = try counts.read(link).tally
        return recovery
    }

    // MARK: Forgetting

    package func prune(
        finishedBefore time: WallTime, jobsMax: Int, keysBefore keyTime: WallTime, tally: Tally
    ) throws(SpoolError) -> Pruned {
        try link.transaction { () throws(SpoolError) in
            let rows = try link.run(
                PostgreSQLPruning.queries(before: time, over: tally.finished - jobsMax, keysBefore: keyTime))
            var pruned = Pruned()
            pruned.jobs = rows[0].affected + rows[1].affected
            pruned.hasMore = [rows[0], rows[1], rows[2]].contains { $0.affected >= PostgreSQLPruning.rowsMax }
            pruned.hasKeys = rows[3].count > 0
            var delta = CountDelta()
            delta.finished = -pruned.jobs
            return (pruned, counts.queries(delta))
        }
    }

    package func reading() throws(SpoolError) -> any Reading {
        PostgreSQLReading(location, kinds: kinds, member: member)
    }

    package func close() {
        keeper.end()
        // Where it cannot be said, the others find out when the lease has run out.
        _ = try? link.transaction { () throws(SpoolError) in ((), FleetDesk.leave(member.session)) }
        link.close()
        lock.release()
    }
}

/// What is forgotten, a bounded number each. Two nodes that do it at once do not wait for each other.
enum PostgreSQLPruning {
    static let rowsMax = 2000

    static func queries(before time: WallTime, over: Int, keysBefore keyTime: WallTime) -> [Query] {
        [
            Query(
                """
                DELETE FROM finished WHERE id IN
                (SELECT id FROM finished ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
                """, [.integer(min(max(0, over), rowsMax))]),
            // A job ended after it was accepted: none with a later id can have ended before `time`.
            Query(
                """
                DELETE FROM finished WHERE id IN (SELECT id FROM finished WHERE id < $1 AND finished_at < $2
                ORDER BY id LIMIT \(rowsMax) FOR UPDATE SKIP LOCKED)
                """, [.integer(JobID.first(at: time, node: 0).raw), .integer(time.milliseconds)]),
            Query(
                """
                DELETE FROM keys WHERE (uid, kind, name) IN (SELECT uid, kind, name FROM keys
                WHERE finished_at < $1 LIMIT \(rowsMax) FOR UPDATE SKIP LOCKED)
                """, [.integer(keyTime.milliseconds)]),
            Query("SELECT 1 FROM keys WHERE finished_at IS NOT NULL LIMIT 1"),
        ]
    }
}
