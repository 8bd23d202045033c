// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Who gets in: gives every job of a batch its id, finds those that were there already, and says of the rest why there
/// is no room. On the writer's thread.
final class Admission {
    private let keeping: any Keeping
    private let node: Int64
    /// Keys that this very batch brings, with the jobs they lead to.
    private var fresh: [Scope: KnownKey] = [:]

    private struct Scope: Hashable {
        var uid: UInt32
        var kind: UInt8
        var name: [UInt8]
    }

    /// Jobs that were admitted one after the other and are counted together.
    private struct Run {
        var group: JobGroup
        var state: JobState
        var jobs = 0
        var bytes = 0
    }

    init(_ keeping: any Keeping, node: Int64) {
        self.keeping = keeping
        self.node = node
    }

    /// Returns how many jobs are to be written.
    /// - Parameter closed: why no new job is taken at all; repeats are answered all the same.
    func admit(
        _ batch: inout Batch, limits: SpoolLimits, closed: SpoolError? = nil, now: WallTime
    ) throws(SpoolError) -> Int {
        if !fresh.isEmpty { fresh.removeAll(keepingCapacity: true) }
        var rows = 0
        var next = max(batch.lastID.advanced(by: 1), JobID.first(at: now, node: node))
        var run: Run?
        for chunk in batch.chunks {
            chunk.firstID = next
            // It may have been tried before, in a larger commit.
            if !chunk.isAllKept { chunk.forgetVerdicts() }
            let kept = try admit(chunk, &batch, &run, limits, closed, first: next)
            rows += kept
            next = next.advanced(by: kept)
        }
        if let run { Self.close(run, &batch) }
        if rows > 0 { batch.lastID = next.advanced(by: -1) }
        return rows
    }

    /// Reports come behind all that was submitted. There is always room for one: whoever was told that a mail is kept
    /// is told of its end.
    func nameReports(_ batch: inout Batch, now: WallTime) {
        var next = max(batch.lastID.advanced(by: 1), JobID.first(at: now, node: node))
        for index in batch.settlements.indices where batch.settlements[index].report != nil {
            batch.settlements[index].nameReport(next)
            batch.lastID = next
            next = next.advanced(by: 1)
        }
    }

    private func admit(
        _ chunk: Chunk, _ batch: inout Batch, _ run: inout Run?, _ limits: SpoolLimits, _ closed: SpoolError?,
        first: JobID
    ) throws(SpoolError) -> Int {
        var kept = 0
        var usage = usage(of: chunk, &batch, &run)
        for (index, job) in chunk.submissions.enumerated() {
            if let key = job.key, try isKnown(key, job, index, chunk) { continue }
            let pending = (jobs: run?.jobs ?? 0, bytes: run?.bytes ?? 0)
            if let refusal = closed ?? Self.refusal(job, batch.tally, pending, limits) ?? usage?.take(job) {
                chunk.refusals[index] = refusal
                continue
            }
            if let key = job.key { remember(key, job, chunk, first.advanced(by: kept)) }
            kept += 1
            Self.count(job, chunk.uid, &run, &batch)
        }
        return kept
    }

    /// nil where the user may have any number waiting.
    private func usage(of chunk: Chunk, _ batch: inout Batch, _ run: inout Run?) -> Usage? {
        guard chunk.quota.boundsSpool else { return nil }
        // What was admitted before counts too.
        if let open = run { Self.close(open, &batch) }
        run = nil
        return Usage(batch.tally.count(uid: chunk.uid), chunk)
    }

    private static func refusal(
        _ job: Submission, _ tally: Tally, _ pending: (jobs: Int, bytes: Int), _ limits: SpoolLimits
    ) -> SpoolError? {
        let jobs = tally.jobs + pending.jobs
        let bytes = tally.bytes + pending.bytes
        if jobs >= limits.jobsMax { return .full(message: "the spool holds \(jobs) jobs, its limit") }
        if bytes + job.range.count > limits.bytesMax {
            return .full(message: "the spool holds \(bytes) of at most \(limits.bytesMax) bytes")
        }
        return nil
    }

    /// What the submitting user has waiting, as the chunk's jobs are added to it.
    private struct Usage {
        private var jobs: Int
        private var bytes: Int
        private let quota: Quota

        init(_ count: GroupCount, _ chunk: Chunk) {
            (jobs, bytes, quota) = (count.waiting, count.bytes, chunk.quota)
        }

        /// Counts the job in, or says why not.
        mutating func take(_ job: Submission) -> SpoolError? {
            if let jobsMax = quota.jobsMax, jobs >= jobsMax {
                return .quota(message: "you have \(jobs) jobs waiting, and may have \(jobsMax)")
            }
            if let bytesMax = quota.bytesMax, bytes + job.range.count > bytesMax {
                return .quota(message: "your jobs hold \(bytes) bytes of at most \(bytesMax)")
            }
            jobs += 1
            bytes += job.range.count
            return nil
        }
    }

    // MARK: Counting

    /// A dictionary is asked once for a run of jobs that are alike, and not for each.
    private static func count(_ job: Submission, _ uid: UInt32, _ run: inout Run?, _ batch: inout Batch) {
        let state = job.dueAt == nil ? JobState.ready : .scheduled
        let group = JobGroup(queue: job.queue, uid: uid, kind: job.kind)
        if let open = run, open.state != state || open.group != group {
            close(open, &batch)
            run = nil
        }
        if run == nil { run = Run(group: group, state: state) }
        run?.jobs += 1
        run?.bytes += job.range.count
    }

    private static func close(_ run: Run, _ batch: inout Batch) {
        batch.tally.add(run.state, jobs: run.jobs, bytes: run.bytes, in: run.group)
        batch.touched.insert(run.group)
    }

    // MARK: Keys

    /// True where the key leads to a job already; the chunk is told which, or that it is another submission's.
    private func isKnown(
        _ key: IdempotencyKey, _ job: Submission, _ index: Int, _ chunk: Chunk
    ) throws(SpoolError) -> Bool {
        let scope = Scope(uid: chunk.uid, kind: job.kind, name: key.name)
        var known = fresh[scope]
        if known == nil { known = try keeping.find(key.name, uid: chunk.uid, kind: job.kind) }
        guard let known else { return false }
        if known.digest == key.digest {
            chunk.repeats[index] = known.job
        } else {
            chunk.refusals[index] = .conflict(
                message: "was used for another submission, which became job \(known.job.id)")
        }
        return true
    }

    private func remember(_ key: IdempotencyKey, _ job: Submission, _ chunk: Chunk, _ id: JobID) {
        let state = job.dueAt == nil ? JobState.ready : .scheduled
        fresh[Scope(uid: chunk.uid, kind: job.kind, name: key.name)] = KnownKey(
            job: Repeat(id: id, state: state), digest: key.digest)
    }
}
