// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool

/// A spool without threads: what is on disk, what operators have ordered, and the news and reads that are on their way
/// to the window. Each step is drawn; the same seed draws the same ones.
struct WindowModel {
    enum News {
        case commit([WaitingJob], settled: [JobID])
        case changed([JobID])
        case unchanged([JobID])
    }

    enum Read {
        case ready(ReadyWindow.Read)
        case due(ReadyWindow.Look)
    }

    enum Answer {
        case ready([WaitingJob], Lane)
        case due(DueJobs)
        /// Told late, for it is not tried again at once. nil: a look for due jobs.
        case failed(Lane?)
    }

    private var random: Seeded
    private var window = ReadyWindow(hasReady: false)
    /// Ready and scheduled jobs; a job's `attemptsMax` counts the changes that it has seen.
    private var disk: [JobID: WaitingJob] = [:]
    /// Held (true) and failed ones.
    private var aside: [JobID: (job: WaitingJob, isHeld: Bool)] = [:]
    private var orders: [(change: JobChange, ids: [JobID])] = []
    private var news: [News] = []
    private var reads: [Read] = []
    private var answers: [Answer] = []
    private var late: [Answer] = []
    private var inHand: [WaitingJob] = []
    /// Ended, and not yet on disk; the job as it will stand there.
    private var unsettled: [(id: JobID, again: WaitingJob?, failed: WaitingJob?)] = []
    private var lastID: Int64 = 0
    /// As the writer knows them: new jobs of these are no news.
    private var known: Set<Lane> = []
    private var knownEdition = 0
    private(set) var unheard = 0
    private(set) var runs: [JobID: Int] = [:]
    private(set) var wanted: [JobID: Int] = [:]
    private(set) var faults: [String] = []
    private(set) var mostAtHand = 0

    static let concurrencyMax = 3

    init(seed: Int) {
        random = Seeded(seed)
        window.rules[1] = QueueRule(concurrencyMax: Self.concurrencyMax)
        if seed % 2 == 0 { commit(jobs: 1200) }
    }

    private mutating func draw(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

    // MARK: The writer

    /// Has more jobs than may be at hand.
    private static let busyLane = Lane(priority: 3, uid: 0)

    private mutating func commit(jobs: Int) {
        var fresh: [WaitingJob] = []
        // Jobs of one lane often come together, and between the ends of others.
        let alike = jobs > Limits.windowJobsMax || draw(3) == 0 ? Self.busyLane : nil
        let ends = jobs == 0 || draw(2) == 0 ? unsettled : []
        for _ in 0..<jobs {
            lastID += 1
            let isDue = alike == nil && draw(4) == 0
            let job = WaitingJob.sample(
                lastID, priority: alike.map { Int($0.priority) } ?? 3 + draw(3), dueAt: isDue ? .start : nil,
                queue: alike?.queue ?? UInt16(draw(2)), uid: alike?.uid ?? UInt32(draw(2)))
            disk[job.id] = job
            wanted[job.id] = 1
            fresh.append(job)
        }
        for end in ends {
            disk[end.id] = end.again
            if let failed = end.failed { aside[end.id] = (failed, false) }
        }
        let isNews = !ends.isEmpty || !fresh.allSatisfy { $0.state == .ready && known.contains($0.lane) }
        if isNews { news.append(.commit(fresh, settled: ends.map(\.id))) } else { unheard += fresh.count }
        unsettled.removeFirst(ends.count)
    }

    private mutating func carryOut() {
        guard !orders.isEmpty else { return }
        let order = orders.removeFirst()
        // What had ended before the order was handed over before it.
        if !unsettled.isEmpty { commit(jobs: 0) }
        if draw(6) == 0 { return news.append(.unchanged(order.ids)) }
        var changed: [JobID] = []
        for id in order.ids {
            if inHand.contains(where: { $0.id == id }) { faults.append("\(id.raw) was changed in a worker's hands") }
            if change(id, order.change) { changed.append(id) }
        }
        news.append(.changed(changed))
        let unchanged = order.ids.filter { !changed.contains($0) }
        if !unchanged.isEmpty { news.append(.unchanged(unchanged)) }
    }

    private mutating func change(_ id: JobID, _ change: JobChange) -> Bool {
        guard let job = disk[id] ?? aside[id]?.job else { return false }
        let state: JobState = aside[id].map { $0.isHeld ? .held : .failed } ?? job.state
        guard change.applies(to: state) else { return false }
        (disk[id], aside[id]) = (nil, nil)
        switch change {
        case .retry, .release:
            if state == .failed { wanted[id, default: 0] += 1 }
            disk[id] = job.again(attempts: 0, changes: job.attemptsMax + 1)
        case .hold: aside[id] = (job, true)
        case .cancel, .purge: if state != .failed { wanted[id, default: 0] -= 1 }
        }
        return true
    }

    // MARK: The reader

    /// Takes its snapshot.
    private mutating func serve(failing: Bool) {
        guard !reads.isEmpty else { return }
        let limit = 1 + draw(40)
        let fails = failing && draw(20) == 0
        switch reads.removeFirst() {
        case .ready(let read):
            if fails { return late.append(.failed(read.lane)) }
            let jobs = disk.values.filter { $0.state == .ready && $0.lane == read.lane && $0.id > read.after }
            answers.append(.ready(Array(jobs.sorted { $0.id < $1.id }.prefix(limit)), read.lane))
        case .due(let look):
            if fails { return late.append(.failed(nil)) }
            var due = DueJobs()
            for (lane, jobs) in Dictionary(grouping: disk.values.filter { $0.state == .scheduled }, by: \.lane)
            where !look.skipping.contains(lane) {
                due.jobs += jobs.sorted { $0.id < $1.id }.prefix(limit)
                if jobs.count > limit { due.incomplete.insert(lane) }
            }
            due.jobs.sort { $0.id < $1.id }
            answers.append(.due(due))
        }
    }

    // MARK: The window

    private mutating func tell() {
        guard !news.isEmpty else { return }
        switch news.removeFirst() {
        case .commit(let jobs, let settled): committed(jobs, settled)
        case .changed(let ids):
            window.changed(ids)
            look()
        case .unchanged(let ids): window.restore(ids)
        }
    }

    private mutating func committed(_ jobs: [WaitingJob], _ settled: [JobID]) {
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

    private mutating func look() {
        if let look = window.beginDue() { reads.append(.due(look)) }
    }

    private mutating func ask() {
        if window.wantsDue { look() }
        let wanted = window.lanesToRead()
        tellMore()
        for read in wanted { reads.append(.ready(read)) }
    }

    /// At once before a read, and whenever the dispatcher has done something.
    private mutating func tellMore() {
        guard window.moreEdition != knownEdition else { return }
        (known, knownEdition) = (window.lanesWithMore, window.moreEdition)
    }

    private mutating func hear() {
        if !late.isEmpty, answers.isEmpty || draw(10) == 0 { answers.insert(late.removeFirst(), at: 0) }
        guard !answers.isEmpty else { return }
        switch answers.removeFirst() {
        case .ready(let jobs, let lane): window.loaded(jobs, lane, complete: jobs.isEmpty)
        case .due(let due): window.loadedDue(due)
        case .failed(let lane?): window.loaded([], lane, complete: false)
        case .failed(nil): window.lookFailed()
        }
        mostAtHand = max(mostAtHand, window.count)
    }

    private mutating func take() {
        guard !window.isPaused, let job = window.next() else { return }
        runs[job.id, default: 0] += 1
        if inHand.contains(where: { $0.id == job.id }) { faults.append("\(job.id.raw) is in hand twice") }
        if runs[job.id, default: 0] > wanted[job.id, default: 0] { faults.append("\(job.id.raw) ran too often") }
        let kept = disk[job.id]
        if kept?.attemptsMax != job.attemptsMax || kept?.state != job.state || kept?.attempts != job.attempts {
            faults.append("\(job.id.raw) was taken as it once was")
        }
        inHand.append(job)
        let limited = inHand.count { $0.queue == 1 }
        if limited != window.running(1) || limited > Self.concurrencyMax { faults.append("queue 1 runs \(limited)") }
    }

    private mutating func end(_ state: JobState) {
        guard let index = inHand.indices.randomElement(using: &random) else { return }
        let job = inHand.remove(at: index)
        window.ended(job)
        switch state {
        case .scheduled:
            wanted[job.id, default: 0] += 1
            window.deferred(job.id)
            unsettled.append((job.id, job.again(attempts: job.attempts + 1, changes: job.attemptsMax), nil))
        case .failed: unsettled.append((job.id, nil, job))
        default: unsettled.append((job.id, nil, nil))
        }
    }

    /// As `Dispatcher.change` does; now and then one that another order is about already.
    private mutating func order() {
        let known = (Array(disk.keys) + Array(aside.keys) + orders.flatMap(\.ids)).sorted()
        guard !known.isEmpty else { return }
        let busy = Set(inHand.map(\.id))
        let chosen = (0...draw(5)).map { _ in known[draw(known.count)] }
        let change = [JobChange.retry, .cancel, .hold, .release, .retry, .hold][draw(6)]
        order(change, Array(Set(chosen).subtracting(busy)).sorted())
    }

    private mutating func order(_ change: JobChange, _ ids: [JobID]) {
        window.withdraw(ids)
        orders.append((change, ids))
    }

    // MARK: Steps

    mutating func step() {
        switch draw(16) {
        case 0: commit(jobs: draw(7))
        case 1: if draw(30) == 0 { commit(jobs: 1200) }
        case 2, 3:
            tell()
            if draw(3) > 0 { tellMore() }
        case 4: ask()
        case 5, 6: serve(failing: true)
        case 7, 8: hear()
        case 9: take()
        case 10: end([.scheduled, .failed, .delivered, .delivered, .delivered][draw(5)])
        case 11: order()
        case 12, 13: carryOut()
        case 14:
            let isPaused = draw(20)
            if isPaused < 2 { window.rules[1]?.isPaused = isPaused == 0 }
            if isPaused == 2 || window.isPaused { window.isPaused.toggle() }
        default:
            take()
            end(.delivered)
        }
    }

    private var isQuiet: Bool {
        news.isEmpty && reads.isEmpty && answers.isEmpty && late.isEmpty && orders.isEmpty && unsettled.isEmpty
    }

    /// Everything that is on its way arrives, what is held is released, and all jobs are worked on, until nothing is
    /// left to do.
    mutating func settleDown() {
        window.rules[1]?.isPaused = false
        window.isPaused = false
        for turn in 0..<100_000 {
            let held = aside.filter(\.value.isHeld).keys.sorted()
            if isQuiet, disk.isEmpty, held.isEmpty { return }
            if !held.isEmpty, orders.isEmpty { order(.release, held) }
            if !unsettled.isEmpty { commit(jobs: 0) }
            carryOut()
            tell()
            ask()
            serve(failing: false)
            // A lane that has been read to its end is the one of which each new job must be heard.
            if turn < 1000, draw(4) == 0 { commit(jobs: 1 + draw(3)) }
            hear()
            for _ in 0..<20 { take() }
            while !inHand.isEmpty { end(.delivered) }
            if isQuiet, held.isEmpty, window.count == 0, !disk.isEmpty, !window.wantsDue, window.lanesToRead().isEmpty {
                return faults.append("\(disk.count) jobs were forgotten")
            }
        }
        faults.append("no end")
    }
}

extension WaitingJob {
    /// The same job, scheduled and due.
    fileprivate func again(attempts: Int, changes: Int) -> WaitingJob {
        .sample(
            id.raw, priority: Int(priority), attempts: attempts, attemptsMax: changes, dueAt: .start, queue: queue,
            uid: uid)
    }
}
