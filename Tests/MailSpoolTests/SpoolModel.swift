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
        var dueAt: WallTime?
        var attempts = 0
        var fates: [Fate]?
        var history = ""
        var finishedAt: WallTime?
    }

    private(set) var jobs: [Job] = []
    private(set) var settings: [String: String] = [:]
    private(set) var lastID = JobID(raw: 0)

    var live: [Job] { jobs.filter { !$0.state.isFinal } }
    var finished: [Job] { jobs.filter(\.state.isFinal) }

    var tally: Tally {
        var tally = Tally()
        for job in jobs { tally.add(job.state, jobs: 1, bytes: job.body.utf8.count) }
        return tally
    }

    /// Which of the drafts there is no room for.
    func refused(_ drafts: [Draft], _ limits: SpoolLimits) -> [Int] {
        var tally = tally
        return drafts.indices.filter { index in
            let bytes = drafts[index].body.utf8.count
            guard tally.jobs < limits.jobsMax, tally.bytes + bytes <= limits.bytesMax else { return true }
            tally.add(.ready, jobs: 1, bytes: bytes)
            return false
        }
    }

    mutating func append(_ draft: Draft, as id: JobID) {
        let due = draft.due.map { TestClock.start + $0 }
        jobs.append(
            Job(
                id: id, state: due == nil ? .ready : .scheduled, priority: draft.priority, body: draft.body, dueAt: due)
        )
        lastID = id
    }

    mutating func settle(_ end: Settlement) {
        guard let index = jobs.firstIndex(where: { $0.id == end.id }) else { return }
        jobs[index].state = end.state
        jobs[index].dueAt = end.dueAt
        jobs[index].attempts = end.attempts
        jobs[index].fates = end.fates
        jobs[index].history += String(decoding: end.history, as: UTF8.self)
        jobs[index].finishedAt = end.state.isFinal ? end.endedAt : nil
    }

    mutating func set(_ name: String, _ value: String?) { settings[name] = value }

    mutating func prune(before time: WallTime, jobsMax: Int) {
        let over = Set(finished.prefix(max(0, finished.count - jobsMax)).map(\.id))
        jobs.removeAll { over.contains($0.id) || ($0.finishedAt.map { $0 < time } ?? false) }
    }

    // MARK: Answers

    func ready(_ priority: Int, after: JobID, limit: Int, bytesMax: Int) -> [JobID] {
        let jobs = jobs.filter { $0.state == .ready && $0.priority == priority && $0.id > after }
        return Self.cut(jobs, limit, bytesMax)
    }

    func due(_ time: WallTime, limit: Int, bytesMax: Int) -> [JobID] {
        let jobs = jobs.filter { $0.state == .scheduled && ($0.dueAt ?? time) <= time }
        // A stable order by id is there already; sorting by both keeps it.
        return Self.cut(
            jobs.sorted { ($0.dueAt ?? time, $0.id) < ($1.dueAt ?? time, $1.id) }, limit, bytesMax)
    }

    func nextDue(after time: WallTime) -> WallTime? {
        jobs.filter { $0.state == .scheduled }.compactMap(\.dueAt).filter { $0 > time }.min()
    }

    private static func cut(_ jobs: [Job], _ limit: Int, _ bytesMax: Int) -> [JobID] {
        var bytes = 0
        var ids: [JobID] = []
        for job in jobs where ids.count < limit && (ids.isEmpty || bytes < bytesMax) {
            ids.append(job.id)
            bytes += job.body.utf8.count
        }
        return ids
    }
}

extension JobRecord {
    /// Nil where it is the record that `job` should have.
    func difference(from job: SpoolModel.Job) -> String? {
        let isFinal = job.state.isFinal
        let expected = [
            "\(job.id) \(job.state) attempts \(job.attempts) due \(job.dueAt?.milliseconds ?? 0)",
            "finished \(job.finishedAt?.milliseconds ?? 0) history \(job.history) body \(isFinal ? "" : job.body)",
            "priority \(isFinal ? Limits.priorityDefault : job.priority)",
        ]
        let found = [
            "\(id) \(state) attempts \(attempts) due \(dueAt?.milliseconds ?? 0)",
            "finished \(finishedAt?.milliseconds ?? 0) history \(String(decoding: history, as: UTF8.self))"
                + " body \(String(decoding: body, as: UTF8.self))",
            "priority \(priority)",
        ]
        return found == expected ? nil : "\(found) where \(expected) should be"
    }
}
