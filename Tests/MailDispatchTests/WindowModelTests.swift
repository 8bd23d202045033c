// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import Testing

/// A spool without threads: what is on disk, and the news and reads that are on their way to the window.
private struct Model {
    struct OnDisk {
        var job: WaitingJob
        var isDue: Bool { job.state == .scheduled }
    }

    enum News {
        case commit([WaitingJob], settled: [JobID])
    }

    enum Read {
        case ready(ReadyWindow.Read)
        case due(ReadyWindow.Look)
    }

    enum Answer {
        case ready([WaitingJob], Lane)
        case due(DueJobs)
    }

    var random: Seeded
    var window = ReadyWindow(hasReady: false)
    var disk: [JobID: OnDisk] = [:]
    var news: [News] = []
    var reads: [Read] = []
    var answers: [Answer] = []
    var inHand: [WaitingJob] = []
    /// Ended, and not yet on disk; the new due job where it was deferred.
    var unsettled: [(id: JobID, again: WaitingJob?)] = []
    var lastID: Int64 = 0
    var runs: [JobID: Int] = [:]
    var wanted: [JobID: Int] = [:]
    var faults: [String] = []
    var mostAtHand = 0

    init(seed: Int) { random = Seeded(seed) }

    mutating func commit(jobs: Int) {
        var fresh: [WaitingJob] = []
        for _ in 0..<jobs {
            lastID += 1
            let isDue = Int.random(in: 0..<4, using: &random) == 0
            let job = WaitingJob.sample(
                lastID, priority: Int.random(in: 3...5, using: &random), dueAt: isDue ? .start : nil,
                queue: UInt16.random(in: 0...1, using: &random), uid: UInt32.random(in: 0...1, using: &random))
            disk[job.id] = OnDisk(job: job)
            wanted[job.id] = 1
            fresh.append(job)
        }
        for settlement in unsettled { disk[settlement.id] = settlement.again.map { OnDisk(job: $0) } }
        news.append(.commit(fresh, settled: unsettled.map(\.id)))
        unsettled = []
    }

    mutating func tell() {
        guard !news.isEmpty, case .commit(let jobs, let settled) = news.removeFirst() else { return }
        for id in settled { window.settled(id) }
        var hasDue = !settled.isEmpty
        for job in jobs {
            if job.state == .scheduled {
                hasDue = true
            } else if window.admits(job.id, job.lane, length: job.body.readableBytes) {
                window.add(job)
            }
        }
        // As the dispatcher's timer does.
        if hasDue { look() }
    }

    mutating func look() {
        if let look = window.beginDue() { reads.append(.due(look)) }
    }

    mutating func ask() {
        if window.wantsDue { look() }
        for read in window.lanesToRead() { reads.append(.ready(read)) }
    }

    /// The reader takes its snapshot.
    mutating func serve() {
        guard !reads.isEmpty else { return }
        let limit = Int.random(in: 1...40, using: &random)
        switch reads.removeFirst() {
        case .ready(let read):
            let jobs = disk.values.filter { !$0.isDue && $0.job.lane == read.lane && $0.job.id > read.after }
            answers.append(.ready(Array(jobs.map(\.job).sorted { $0.id < $1.id }.prefix(limit)), read.lane))
        case .due(let look):
            let lanes = Dictionary(grouping: disk.values.filter(\.isDue).map(\.job), by: \.lane)
            var due = DueJobs()
            for (lane, jobs) in lanes where !look.skipping.contains(lane) {
                due.jobs += jobs.sorted { $0.id < $1.id }.prefix(limit)
                if jobs.count > limit { due.incomplete.insert(lane) }
            }
            answers.append(.due(due))
        }
    }

    mutating func hear() {
        guard !answers.isEmpty else { return }
        switch answers.removeFirst() {
        case .ready(let jobs, let lane): window.loaded(jobs, lane, complete: jobs.isEmpty)
        case .due(let due): window.loadedDue(due)
        }
        mostAtHand = max(mostAtHand, window.count)
    }

    mutating func take() {
        guard let job = window.next() else { return }
        runs[job.id, default: 0] += 1
        if inHand.contains(where: { $0.id == job.id }) { faults.append("\(job.id.raw) is in hand twice") }
        if runs[job.id, default: 0] > wanted[job.id, default: 0] { faults.append("\(job.id.raw) ran too often") }
        inHand.append(job)
    }

    mutating func end(deferring: Bool) {
        guard let index = inHand.indices.randomElement(using: &random) else { return }
        let job = inHand.remove(at: index)
        window.ended(job)
        guard deferring else { return unsettled.append((job.id, nil)) }
        wanted[job.id, default: 0] += 1
        window.deferred(job.id)
        let again = WaitingJob.sample(
            job.id.raw, priority: Int(job.priority), attempts: job.attempts + 1, dueAt: .start, queue: job.queue,
            uid: job.uid)
        unsettled.append((job.id, again))
    }

    mutating func step() {
        switch Int.random(in: 0..<12, using: &random) {
        case 0: commit(jobs: Int.random(in: 0...6, using: &random))
        case 1: if Int.random(in: 0..<100, using: &random) == 0 { commit(jobs: 1200) }
        case 2, 3: tell()
        case 4: ask()
        case 5, 6: serve()
        case 7, 8: hear()
        case 9: take()
        case 10: end(deferring: Int.random(in: 0..<5, using: &random) == 0)
        default:
            take()
            end(deferring: false)
        }
    }

    /// Everything that is on its way arrives and all jobs are worked on, until nothing is left to do.
    mutating func settleDown() {
        for _ in 0..<100_000 {
            if disk.isEmpty, news.isEmpty, reads.isEmpty, answers.isEmpty { return }
            if !unsettled.isEmpty { commit(jobs: 0) }
            tell()
            ask()
            serve()
            hear()
            for _ in 0..<20 { take() }
            while !inHand.isEmpty { end(deferring: false) }
            let isIdle = news.isEmpty && reads.isEmpty && answers.isEmpty && unsettled.isEmpty && window.count == 0
            if isIdle, !disk.isEmpty, !window.wantsDue, window.lanesToRead().isEmpty {
                faults.append("\(disk.count) jobs were forgotten")
                return
            }
        }
        faults.append("no end")
    }
}

@Suite("The window against a model of the spool")
struct WindowModelTests {
    @Test("no job is lost or taken twice, however commits, reads and takes interleave", arguments: 1...24)
    func interleaved(seed: Int) {
        var model = Model(seed: seed)
        for _ in 0..<1500 { model.step() }
        model.settleDown()
        #expect(model.faults.isEmpty, "\(model.faults.prefix(3))")
        let wrong = model.wanted.filter { model.runs[$0.key] != $0.value }
        #expect(wrong.isEmpty)
        #expect(model.mostAtHand <= Limits.windowsJobsMax)
    }
}
