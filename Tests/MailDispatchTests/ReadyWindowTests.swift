// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import Testing

@Suite("The window on the queue")
struct ReadyWindowTests {
    private func taken(_ window: inout ReadyWindow) -> [Int64] {
        var ids: [Int64] = []
        while let job = window.next() { ids.append(job.id.raw) }
        return ids
    }

    private func commit(_ job: WaitingJob, _ window: inout ReadyWindow) -> Bool {
        guard window.admits(job.id, job.lane, length: job.body.readableBytes) else { return false }
        window.add(job)
        return true
    }

    @Test("higher priority goes first, then age")
    func order() {
        var window = ReadyWindow(hasReady: false)
        for (id, priority) in [(1, 4), (2, 9), (3, 0), (4, 4), (5, 9)] {
            #expect(commit(.sample(Int64(id), priority: priority), &window))
        }
        #expect(taken(&window) == [2, 5, 1, 4, 3])
        #expect(window.count == 0 && window.next() == nil)
    }

    @Test("within a priority, due jobs go before fresh ones")
    func dueFirst() {
        var window = ReadyWindow(hasReady: false)
        _ = commit(.sample(5, priority: 4), &window)
        #expect(window.beginDue()?.known == 0)
        window.loadedDue(.found([.sample(3, dueAt: .start), .sample(2, priority: 1, dueAt: .start)]))
        #expect(taken(&window) == [3, 5, 2])
    }

    @Test("what is claimed of a queue has its bound, and is given back when the queue is paused")
    func claims() {
        var window = ReadyWindow(hasReady: false)
        window.rules = [1: QueueRule(concurrencyMax: 2), 2: QueueRule(isPaused: true)]
        #expect(window.claimed([.sample(1, queue: 1), .sample(2), .sample(3, queue: 3)]).isEmpty)
        #expect(window.rooms(jobsPerRunning: 4) == [1: 7, 2: 0])
        #expect(!window.hasOnly([.usual]))
        #expect(window.blockedCount == 0)
        window.rules[3] = QueueRule(concurrencyMax: 0)
        #expect(window.blockedCount == 1)
        #expect(window.clear { $0 == 3 }.map(\.id.raw) == [3])
        #expect(window.clear { $0 == 1 }.count == 1)
        #expect(window.hasOnly([.usual]) && window.count == 1)
        #expect(window.clear().count == 1 && window.count == 0 && window.next() == nil)
    }

    @Test("at a start with jobs on disk all lanes are read, from the beginning")
    func start() {
        var window = ReadyWindow(hasReady: true)
        #expect(window.needsLanes && window.lanesToRead().isEmpty)
        window.open([4, 9, 0].map { Lane(priority: $0, uid: 0) })
        let reads = window.lanesToRead()
        #expect(reads.map(\.lane.priority) == [9, 4, 0])
        #expect(reads.allSatisfy { $0.after == JobID(raw: 0) })
        #expect(window.lanesToRead().isEmpty, "one read a lane at a time")
    }

    @Test("while nothing may run, one job a lane is enough at hand; the rest is read once it may")
    func rest() {
        var window = ReadyWindow(hasReady: false)
        window.isPaused = true
        #expect(commit(.sample(1), &window) && commit(.sample(2, priority: 9), &window))
        #expect(!commit(.sample(3), &window), "it is on disk, and not wanted yet")
        #expect(window.lanesToRead().isEmpty && window.lanesWithMore == [.usual])
        window.isPaused = false
        #expect(window.lanesToRead().map(\.after.raw) == [1])
        window.loaded([.sample(3)], .usual, complete: true)
        #expect(taken(&window) == [2, 1, 3])
    }

    @Test("a queue that is paused has one job at hand, the others go on")
    func queueAtRest() {
        var window = ReadyWindow(hasReady: false)
        window.rules = [1: QueueRule(isPaused: true)]
        #expect(commit(.sample(1, queue: 1), &window) && !commit(.sample(2, queue: 1), &window))
        #expect(commit(.sample(3), &window) && commit(.sample(4), &window))
        #expect(window.lanesToRead().isEmpty)
        window.rules[1]?.isPaused = false
        #expect(window.lanesToRead().map(\.lane.queue) == [1])
    }

    @Test("a full lane remembers that there is more, and reads on where it stopped")
    func full() {
        var window = ReadyWindow(hasReady: false)
        for id in 1...Int64(Limits.windowJobsMax) { #expect(commit(.sample(id), &window)) }
        let beyond = Int64(Limits.windowJobsMax) + 1
        #expect(!commit(.sample(beyond), &window))
        #expect(window.lanesToRead().isEmpty, "there is enough at hand")
        for _ in 0..<(Limits.windowJobsMax * 3 / 4 + 1) { _ = window.next() }
        #expect(!commit(.sample(beyond + 1), &window), "an older one is still to be read")
        #expect(window.lanesToRead().map(\.after.raw) == [Int64(Limits.windowJobsMax)])
    }

    @Test("a lane is full by bytes as well as by jobs, but always takes one job")
    func fullByBytes() {
        var window = ReadyWindow(hasReady: false)
        #expect(commit(.sample(1, bytes: Limits.windowBytesMax + 1), &window))
        #expect(!commit(.sample(2), &window))
    }

    @Test("few large jobs are enough at hand: the next are not read before these are taken")
    func largeJobsAreBounded() {
        var window = ReadyWindow.opened()
        var held = 0
        for id in 1...Int64(20) {
            guard window.lanesToRead().contains(where: { $0.lane == .usual }) else { break }
            window.loaded([.sample(id, bytes: Limits.windowBytesMax)], .usual, complete: false)
            held += 1
        }
        #expect(held == 1)
        _ = window.next()
        #expect(window.lanesToRead().map(\.lane) == [.usual])
    }

    @Test("a commit that is told after the read that has seen it is not taken twice")
    func readBeforeNews() {
        var window = ReadyWindow.opened()
        _ = window.lanesToRead()
        window.loaded([.sample(7)], .usual, complete: false)
        _ = window.lanesToRead()
        window.loaded([], .usual, complete: true)
        #expect(!commit(.sample(7), &window))
        #expect(taken(&window) == [7])
        #expect(window.lanesToRead().isEmpty)
    }

    @Test("a commit during a read is not lost")
    func newsDuringRead() {
        var window = ReadyWindow.opened()
        _ = window.lanesToRead()
        #expect(!commit(.sample(9), &window))
        window.loaded([], .usual, complete: true)
        #expect(window.lanesToRead().map(\.lane) == [.usual])
    }

    @Test("a due job is not loaded again until its settlement is on disk")
    func dueOnce() {
        var window = ReadyWindow(hasReady: false)
        for _ in 0..<3 {
            _ = window.beginDue()
            window.loadedDue(.found([.sample(1, dueAt: .start)]))
        }
        #expect(window.count == 1 && window.dueLoaded == 1)
        _ = window.next()
        window.settled(JobID(raw: 1))
        #expect(window.dueLoaded == 0)
        _ = window.beginDue()
        window.loadedDue(.found([.sample(1, attempts: 1, dueAt: .start)]))
        #expect(window.next()?.attempts == 1)
    }

    @Test("a due job that was settled while a read was under way is not loaded from what the read saw")
    func settledMeanwhile() {
        var window = ReadyWindow(hasReady: false)
        _ = window.beginDue()
        window.loadedDue(.found([.sample(1, dueAt: .start)]))
        _ = window.next()
        _ = window.beginDue()
        window.settled(JobID(raw: 1))
        window.loadedDue(.found([.sample(1, dueAt: .start)]))
        #expect(window.count == 0)
    }

    @Test("a deferred job that a read finds before the news of its commit waits for that news")
    func deferredBeforeNews() {
        var window = ReadyWindow(hasReady: false)
        _ = commit(.sample(1), &window)
        _ = window.next()
        window.deferred(JobID(raw: 1))
        _ = window.beginDue()
        window.loadedDue(.found([.sample(1, attempts: 1, dueAt: .start)]))
        #expect(window.count == 0)
        window.settled(JobID(raw: 1))
        _ = window.beginDue()
        window.loadedDue(.found([.sample(1, attempts: 1, dueAt: .start)]))
        #expect(window.count == 1)
    }

    @Test("a look for due jobs that comes during another is made up for")
    func lookDuringLook() {
        var window = ReadyWindow(hasReady: false)
        #expect(window.beginDue() != nil)
        #expect(window.beginDue() == nil)
        #expect(!window.wantsDue)
        window.loadedDue(.found([]))
        #expect(window.wantsDue)
    }

    @Test("due jobs are bounded: no look at a lane before those at hand run low")
    func dueIsBounded() {
        var window = ReadyWindow(hasReady: false)
        var id: Int64 = 0
        for _ in 0..<50 {
            guard let look = window.beginDue() else { continue }
            guard look.skipping.isEmpty else {
                window.loadedDue(.found([]))
                continue
            }
            window.loadedDue(.found((0..<100).map { .sample(id + Int64($0), dueAt: .start) }, hasMore: true))
            id += 100
        }
        #expect(window.count < Limits.windowJobsMax)
        let count = window.count
        for _ in 0..<count { _ = window.next() }
        #expect(window.wantsDue)
    }

    @Test("where only known jobs are found with more behind them, the next look waits for one of them to be settled")
    func stalled() {
        var window = ReadyWindow(hasReady: false)
        _ = window.beginDue()
        window.loadedDue(.found([.sample(1, dueAt: .start)], hasMore: true))
        #expect(window.beginDue()?.known == 1)
        window.loadedDue(.found([.sample(1, dueAt: .start)], hasMore: true))
        #expect(!window.wantsDue)
        window.settled(JobID(raw: 1))
        #expect(window.wantsDue)
    }

    @Test("a lane of which only known jobs are found holds up no other lane")
    func stalledAlone() {
        var window = ReadyWindow(hasReady: false)
        window.rules[1] = QueueRule(isPaused: true)
        for _ in 0..<2 {
            _ = window.beginDue()
            window.loadedDue(.found([.sample(1, dueAt: .start, queue: 1)], hasMore: true))
        }
        #expect(window.beginDue()?.skipping == [Lane(queue: 1, uid: 0)])
        window.loadedDue(.found([.sample(2, dueAt: .start)]))
        #expect(taken(&window) == [2])
        #expect(!window.wantsDue)
        window.settled(JobID(raw: 1))
        #expect(window.wantsDue && window.beginDue()?.skipping == [])
    }

    @Test("what is withdrawn is not taken, and comes back in its place where nothing becomes of it")
    func withdrawn() {
        var window = ReadyWindow(hasReady: false)
        for id in 1...Int64(3) { _ = commit(.sample(id), &window) }
        window.withdraw([2, 1, 4].map { JobID(raw: $0) })
        _ = commit(.sample(4), &window)
        #expect(window.count == 1, "one that is told of later is kept back too")
        window.restore([JobID(raw: 1), JobID(raw: 2), JobID(raw: 4)])
        #expect(taken(&window) == [1, 2, 4, 3])
    }

    @Test("of two orders for one job the last decides, whichever comes to nothing", arguments: [true, false])
    func withdrawnTwice(changes: Bool) {
        var window = ReadyWindow(hasReady: false)
        _ = commit(.sample(1), &window)
        for _ in 0..<2 { window.withdraw([JobID(raw: 1)]) }
        if changes { window.changed([JobID(raw: 1)]) } else { window.restore([JobID(raw: 1)]) }
        #expect(window.count == 0, "the other order is still on its way")
        window.restore([JobID(raw: 1)])
        #expect(window.count == (changes ? 0 : 1))
        #expect(window.wantsDue == changes, "what has changed is looked for on disk")
    }

    @Test("a changed job is not taken from a read that was under way when it changed")
    func changedDuringRead() {
        var window = ReadyWindow(hasReady: false)
        _ = window.beginDue()
        window.withdraw([JobID(raw: 1)])
        window.changed([JobID(raw: 1)])
        window.loadedDue(.found([.sample(1, dueAt: .start)]))
        #expect(window.count == 0 && window.wantsDue)
        _ = window.beginDue()
        window.loadedDue(.found([.sample(1, attempts: 1, dueAt: .start)]))
        #expect(window.next()?.attempts == 1)
    }

    @Test("a look that failed is made again, whatever is loaded")
    func failedLook() {
        var window = ReadyWindow(hasReady: false)
        _ = window.beginDue()
        window.loadedDue(.found([.sample(1, dueAt: .start)]))
        _ = window.beginDue()
        window.lookFailed()
        #expect(window.wantsDue)
    }

    @Test("the oldest is the longest-waiting at hand")
    func oldest() {
        var window = ReadyWindow(hasReady: false)
        #expect(window.oldest == nil)
        _ = commit(.sample(1 << 40, priority: 1), &window)
        _ = commit(.sample(1 << 41, priority: 9), &window)
        #expect(window.oldest == JobID(raw: 1 << 40).time)
    }
}
