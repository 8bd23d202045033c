// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool

/// What a spool should hold, kept as simply as can be: the judge of the random test.
struct SpoolModel {
    struct Job: Equatable {
        var id: JobID
        var state: JobState
        var priority: Int
        var body: String
        var queue: UInt16 = 0
        var uid: UInt32 = 1000
        var key: IdempotencyKey?
        var resumesAt: WallTime?
        var crashes = 0
        var dueAt: WallTime?
        var attempts = 0
        var fates: [Fate]?
        var history = ""
        var finishedAt: WallTime?
    }

    private(set) var jobs: [Job] = []
    private(set) var settings: [String: String] = [:]
    private(set) var lastID = JobID(raw: 0)
    /// By uid and name.
    private(set) var keys: [String: Key] = [:]

    struct Key: Equatable {
        var job: JobID
        var digest: [UInt8]
        var end: (state: JobState, at: WallTime)?

        static func == (left: Key, right: Key) -> Bool { left.job == right.job }
    }

    var live: [Job] { jobs.filter { !$0.state.isFinal } }
    var finished: [Job] { jobs.filter(\.state.isFinal) }

    var tally: Tally {
        var tally = Tally()
        for job in jobs { tally.add(job.state, jobs: 1, bytes: job.body.utf8.count, in: job.group) }
        return tally
    }

    /// What becomes of each draft, in order: kept, a repeat of another, or refused.
    enum Fortune: Equatable { case kept, repeats, conflicts, full }

    func fortunes(_ drafts: [Draft], uid: UInt32, _ limits: SpoolLimits) -> [Fortune] {
        var tally = tally
        var known = keys.mapValues(\.digest)
        return drafts.map { draft in
            let scope = draft.key.map { Self.scope(uid, $0) }
            if let scope, let digest = known[scope] { return digest == draft.key?.digest ? .repeats : .conflicts }
            let bytes = draft.body.utf8.count
            guard tally.jobs < limits.jobsMax, tally.bytes + bytes <= limits.bytesMax else { return .full }
            tally.add(.ready, jobs: 1, bytes: bytes, in: JobGroup(queue: draft.queue, uid: uid, kind: draft.kind))
            if let scope, let key = draft.key { known[scope] = key.digest }
            return .kept
        }
    }

    static func scope(_ uid: UInt32, _ key: IdempotencyKey) -> String { "\(uid) \(key.name)" }

    func state(ofKey key: IdempotencyKey, uid: UInt32) -> Repeat? {
        guard let known = keys[Self.scope(uid, key)] else { return nil }
        let live = live.first { $0.id == known.job }?.state
        return Repeat(id: known.job, state: live ?? known.end?.state ?? .ready)
    }

    mutating func append(_ draft: Draft, as id: JobID, uid: UInt32) {
        let due = draft.due.map { TestClock.start + $0 }
        jobs.append(
            Job(
                id: id, state: due == nil ? .ready : .scheduled, priority: draft.priority, body: draft.body,
                queue: draft.queue, uid: uid, key: draft.key, dueAt: due))
        if let key = draft.key { keys[Self.scope(uid, key)] = Key(job: id, digest: key.digest) }
        lastID = id
    }

    mutating func settle(_ end: Settlement) {
        guard let index = jobs.firstIndex(where: { $0.id == end.id }) else { return }
        jobs[index].state = end.state
        jobs[index].dueAt = end.dueAt
        jobs[index].attempts = end.attempts
        jobs[index].crashes = 0
        jobs[index].fates = end.fates
        jobs[index].resumesAt = nil
        jobs[index].history += String(decoding: end.history, as: UTF8.self)
        if end.state.isFinal { finish(index, at: end.endedAt) }
    }

    private mutating func finish(_ index: Int, at time: WallTime) {
        jobs[index].finishedAt = time
        jobs[index].fates = nil
        endKey(jobs[index], at: time)
    }

    private mutating func endKey(_ job: Job, at time: WallTime) {
        if let key = job.key { keys[Self.scope(job.uid, key)]?.end = (job.state, time) }
    }

    /// An operator's verb, as docs/job-states.md has it. Returns the jobs that it changed.
    mutating func change(_ order: ChangeOrder) -> [JobID] {
        order.ids.filter { id in
            guard let index = jobs.firstIndex(where: { $0.id == id }) else { return false }
            let job = jobs[index]
            switch (order.change, job.state) {
            case (.purge, _):
                if !job.state.isFinal { endKey(job, at: order.at) }
                jobs.remove(at: index)
                return true
            case (.cancel, .ready), (.cancel, .scheduled), (.cancel, .held), (.cancel, .failed):
                jobs[index].state = .cancelled
                jobs[index].dueAt = nil
                finish(index, at: order.at)
            case (.hold, .ready), (.hold, .scheduled):
                jobs[index].state = .held
                jobs[index].resumesAt = job.dueAt
                jobs[index].dueAt = nil
            case (.release, .held):
                jobs[index].state = .scheduled
                jobs[index].dueAt = [job.resumesAt ?? order.at, order.at].max()
                jobs[index].resumesAt = nil
                jobs[index].crashes = 0
            case (.retry, .ready), (.retry, .scheduled), (.retry, .held), (.retry, .failed):
                jobs[index].state = .scheduled
                jobs[index].dueAt = order.at
                jobs[index].resumesAt = nil
                jobs[index].attempts = 0
                jobs[index].crashes = 0
                jobs[index].fates = job.fates?.map { $0 == .rejected ? .open : $0 }
            default: return false
            }
            jobs[index].history += String(decoding: order.history, as: UTF8.self)
            return true
        }
    }

    /// The process died with these in hand.
    mutating func crash(_ ids: [JobID], at time: WallTime) {
        for index in jobs.indices where ids.contains(jobs[index].id) {
            guard jobs[index].state == .ready || jobs[index].state == .scheduled else { continue }
            jobs[index].crashes += 1
            jobs[index].history += "{\"at\":\(time.milliseconds),\"event\":\"crashed\"}\n"
            if jobs[index].crashes >= Limits.crashesMax {
                jobs[index].state = .held
                jobs[index].dueAt = nil
            } else {
                jobs[index].state = .scheduled
                jobs[index].dueAt = jobs[index].dueAt ?? time
            }
        }
    }

    mutating func set(_ name: String, _ value: String?) { settings[name] = value }

    mutating func prune(before time: WallTime, jobsMax: Int, keysBefore keyTime: WallTime) {
        let over = Set(finished.prefix(max(0, finished.count - jobsMax)).map(\.id))
        jobs.removeAll { over.contains($0.id) || ($0.finishedAt.map { $0 < time } ?? false) }
        keys = keys.filter { ($0.value.end?.at ?? keyTime) >= keyTime }
    }

    // MARK: Answers

    var lanes: Set<Lane> { Set(jobs.map(\.lane)) }

    func ready(_ lane: Lane, after: JobID, limit: Int, bytesMax: Int) -> [JobID] {
        let jobs = jobs.filter { $0.state == .ready && $0.lane == lane && $0.id > after }
        return Self.cut(jobs, limit, bytesMax).map(\.id)
    }

    func due(_ time: WallTime, limit: Int, bytesMax: Int, skipping: Set<Lane>) -> [JobID] {
        let scheduled = Dictionary(grouping: jobs.filter { $0.state == .scheduled }, by: \.lane)
            .filter { !skipping.contains($0.key) }
        let share = bytesMax / max(1, scheduled.count)
        let found = scheduled.values.flatMap { jobs in
            Self.cut(Self.byDue(jobs.filter { ($0.dueAt ?? time) <= time }, time), limit, share)
        }
        return Self.byDue(found, time).map(\.id)
    }

    private static func byDue(_ jobs: [Job], _ time: WallTime) -> [Job] {
        jobs.sorted { ($0.dueAt ?? time, $0.id) < ($1.dueAt ?? time, $1.id) }
    }

    func nextDue(after time: WallTime) -> WallTime? {
        jobs.filter { $0.state == .scheduled }.compactMap(\.dueAt).filter { $0 > time }.min()
    }

    private static func cut(_ jobs: [Job], _ limit: Int, _ bytesMax: Int) -> [Job] {
        var bytes = 0
        var found: [Job] = []
        for job in jobs where found.count < limit && (found.isEmpty || bytes < bytesMax) {
            found.append(job)
            bytes += job.body.utf8.count
        }
        return found
    }
}

extension SpoolModel.Job {
    var lane: Lane { Lane(priority: UInt8(priority), queue: queue, uid: uid) }
    var group: JobGroup { JobGroup(queue: queue, uid: uid, kind: 0) }
}

extension JobRecord {
    /// Nil where it is the record that `job` should have.
    func difference(from job: SpoolModel.Job) -> String? {
        let isFinal = job.state.isFinal
        let expected = [
            "\(job.id) \(job.state) queue \(job.queue) uid \(job.uid) crashes \(isFinal ? 0 : job.crashes)"
                + " attempts \(job.attempts) due \(job.dueAt?.milliseconds ?? 0)",
            "finished \(job.finishedAt?.milliseconds ?? 0) history \(job.history) body \(isFinal ? "" : job.body)",
            "priority \(isFinal ? Limits.priorityDefault : job.priority)",
        ]
        let found = [
            "\(id) \(state) queue \(queue) uid \(uid) crashes \(crashes)"
                + " attempts \(attempts) due \(dueAt?.milliseconds ?? 0)",
            "finished \(finishedAt?.milliseconds ?? 0) history \(String(decoding: history, as: UTF8.self))"
                + " body \(String(decoding: body, as: UTF8.self))",
            "priority \(priority)",
        ]
        return found == expected ? nil : "\(found) where \(expected) should be"
    }
}
