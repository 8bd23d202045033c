// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// Questions to a `MemoryKeeping`: each looks at all jobs, which is fine for as many as a test has.
final class MemoryReading: Reading {
    private let keeping: MemoryKeeping

    init(_ keeping: MemoryKeeping) { self.keeping = keeping }

    func ready(_ lane: Lane, after: JobID, limit: Int, bytesMax: Int) -> [WaitingJob] {
        let jobs = jobs { $0.state == .ready && $0.lane == lane && $0.id > after }
        return Self.waiting(jobs.sorted { $0.record.id < $1.record.id }, limit, bytesMax)
    }

    func readyLanes() -> [Lane] { Array(Set(jobs { $0.state == .ready }.map(\.record.lane))) }

    func due(at time: WallTime, limit: Int, bytesMax: Int, skipping: Set<Lane>) -> DueJobs {
        let lanes = Dictionary(grouping: jobs { $0.state == .scheduled }, by: \.record.lane)
            .filter { !skipping.contains($0.key) }
        var due = DueJobs()
        let share = bytesMax / max(1, lanes.count)
        for (lane, jobs) in lanes {
            let past = jobs.filter { ($0.record.dueAt ?? time) <= time }
            let found = Self.waiting(past.sorted { Self.order($0.record) < Self.order($1.record) }, limit, share)
            let isCut = found.count >= limit || found.reduce(0, { $0 + $1.body.readableBytes }) >= share
            if isCut, !found.isEmpty { due.incomplete.insert(lane) }
            due.jobs += found
        }
        due.jobs.sort { ($0.readyAt, $0.id) < ($1.readyAt, $1.id) }
        return due
    }

    func dueCount(at time: WallTime, limit: Int) -> Int {
        min(limit, jobs { $0.state == .scheduled && ($0.dueAt ?? time) <= time }.count)
    }

    func nextDue(after time: WallTime) -> WallTime? {
        jobs { $0.state == .scheduled && ($0.dueAt ?? time) > time }.compactMap(\.record.dueAt).min()
    }

    func list(_ filter: JobFilter, at time: WallTime, after: JobID, limit: Int, whole: Bool) -> JobPage {
        let all = keeping.read { $0.jobs.values.map(\.whole) + $0.finished.values }
        var page = JobPage()
        var budget = PageBudget()
        var last = after
        for record in all.sorted(by: { $0.id < $1.id }) where record.id > after {
            if page.records.count == limit || budget.isSpent {
                page.next = last
                break
            }
            last = record.id
            budget.look()
            guard filter.takesOutside(record, at: time) else { continue }
            budget.read(record, isJudged: filter.letter != nil)
            if let letter = filter.letter, !letter(record) { continue }
            page.records.append(whole ? record : record.bare)
        }
        return page
    }

    func show(_ id: JobID) -> JobRecord? {
        keeping.read { store in
            var record = store.jobs[id]?.whole ?? store.finished[id]
            record?.key = store.keys.first { $0.value.job == id }?.key.name
            return record
        }
    }

    func close() {}

    private func jobs(where matches: (JobRecord) -> Bool) -> [MemoryKeeping.Kept] {
        keeping.read { store in store.jobs.values.filter { matches($0.record) } }
    }

    private static func order(_ record: JobRecord) -> (Int64, Int64) {
        (record.dueAt?.milliseconds ?? 0, record.id.raw)
    }

    private static func waiting(_ jobs: [MemoryKeeping.Kept], _ limit: Int, _ bytesMax: Int) -> [WaitingJob] {
        var bytes = 0
        var result: [WaitingJob] = []
        for job in jobs.prefix(limit) where result.isEmpty || bytes < bytesMax {
            result.append(WaitingJob(job))
            bytes += result.last?.body.readableBytes ?? 0
        }
        return result
    }
}

extension MemoryKeeping.Kept {
    fileprivate var whole: JobRecord {
        var record = record
        record.attemptsMax = attemptsMax
        record.fates = fates
        record.resumesAt = resumesAt
        return record
    }
}

extension JobRecord {
    fileprivate var bare: JobRecord {
        var record = self
        record.body = []
        record.history = []
        return record
    }

    fileprivate var lane: Lane { Lane(priority: priority, queue: queue, uid: uid) }
}

extension WaitingJob {
    fileprivate init(_ job: MemoryKeeping.Kept) {
        let record = job.record
        self.init(
            id: record.id, state: record.state, kind: record.kind, priority: record.priority, uid: record.uid,
            queue: record.queue, attempts: record.attempts, attemptsMax: job.attemptsMax,
            expiresAt: record.expiresAt ?? record.id.time, readyAt: record.dueAt ?? record.id.time, fates: job.fates,
            isKeyed: job.key != nil,
            body: record.body.count > Limits.largeBodyBytes ? ByteBuffer() : ByteBuffer(bytes: record.body),
            length: record.body.count)
    }
}
