// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import PostgreSQL

/// Writes the ends of attempts, those of one kind with one statement. An end whose claim is not the job's present one
/// changes nothing: somebody else has the job by now, or has settled it.
struct PostgreSQLSettlements {
    private static let finish = """
        WITH ends AS (SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::bytea[])
        AS e (id, claim, state, attempts, ended, history)),
        gone AS (DELETE FROM jobs USING ends WHERE jobs.id = ends.id AND (ends.claim = 0 OR ends.claim = jobs.claim)
        RETURNING jobs.id, ends.state, jobs.kind, jobs.uid, jobs.queue, ends.attempts, ends.ended,
        coalesce(jobs.history, ''::bytea) || ends.history)
        INSERT INTO finished (id, state, kind, uid, queue, attempts, finished_at, history) SELECT * FROM gone RETURNING id
        """
    private static let putBack = """
        UPDATE jobs SET state = ends.state, due = ends.due, attempts = ends.attempts, fates = ends.fates, crashes = 0,
        resumes = NULL, history = coalesce(jobs.history, ''::bytea) || ends.history, lease = 0, claim = jobs.claim + 1
        FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::bytea[], $7::bytea[])
        AS ends (id, claim, state, attempts, due, fates, history)
        WHERE jobs.id = ends.id AND (ends.claim = 0 OR ends.claim = jobs.claim) RETURNING jobs.id
        """
    private static let finishKeys = """
        UPDATE keys SET finished_at = ends.ended, state = ends.state
        FROM unnest($1::int8[], $2::int8[], $3::int8[]) AS ends (job, ended, state) WHERE keys.job = ends.job
        """

    /// Statements whose rows are the ids of those that took effect. A job stands once in a list.
    func queries(_ ends: [Settlement]) -> [Query] {
        [finish(ends.filter(\.state.isFinal)), putBack(ends.filter { !$0.state.isFinal })].compactMap { $0 }
    }

    /// Lists in which a job stands once, in the order of its ends.
    static func lists(_ ends: [Settlement]) -> [[Settlement]] {
        var lists: [[Settlement]] = []
        var seen: [JobID: Int] = [:]
        for end in ends {
            let place = seen[end.id, default: 0]
            seen[end.id] = place + 1
            if place == lists.count { lists.append([]) }
            lists[place].append(end)
        }
        return lists
    }

    private func finish(_ ends: [Settlement]) -> Query? {
        guard !ends.isEmpty else { return nil }
        return Query(
            Self.finish,
            [
                .integers(ends.map(\.id.raw)), .integers(ends.map(\.claim)),
                .integers(ends.map { Int64($0.state.rawValue) }), .integers(ends.map { Int64($0.attempts) }),
                .integers(ends.map(\.endedAt.milliseconds)), .blobs(ends.map(\.history)),
            ])
    }

    private func putBack(_ ends: [Settlement]) -> Query? {
        guard !ends.isEmpty else { return nil }
        return Query(
            Self.putBack,
            [
                .integers(ends.map(\.id.raw)), .integers(ends.map(\.claim)),
                .integers(ends.map { Int64($0.state.rawValue) }), .integers(ends.map { Int64($0.attempts) }),
                .integers(ends.map { $0.dueAt?.milliseconds }),
                .blobs(ends.map { $0.fates.map { $0.map(\.rawValue) } }),
                .blobs(ends.map(\.history)),
            ])
    }

    /// From here on the keys of these jobs are kept for `Limits.keySeconds`.
    static func finishKeys(_ ends: [(job: JobID, at: WallTime, state: JobState)]) -> [Query] {
        guard !ends.isEmpty else { return [] }
        let query = Query(
            finishKeys,
            [
                .integers(ends.map(\.job.raw)), .integers(ends.map(\.at.milliseconds)),
                .integers(ends.map { Int64($0.state.rawValue) }),
            ])
        return [query]
    }
}
