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
