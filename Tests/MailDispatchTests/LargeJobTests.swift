// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import Testing

private let large = Limits.largeBodyBytes + 1

@Suite("Large jobs", .timeLimit(.minutes(1)))
struct LargeJobTests {
    private func commit(_ job: WaitingJob, _ window: inout ReadyWindow) {
        let isAdmitted = window.admits(job.id, job.lane, length: job.body.readableBytes)
        #expect(isAdmitted)
        window.add(job)
    }

    private func next(_ window: inout ReadyWindow, _ room: Int) -> Int64? { window.next(room: room)?.id.raw }

    private func window(_ jobs: [(id: Int64, length: Int, uid: UInt32)]) -> ReadyWindow {
        var window = ReadyWindow(hasReady: false)
        for (id, length, uid) in jobs {
            var job = WaitingJob.sample(id, bytes: length > Limits.largeBodyBytes ? 0 : length, uid: uid)
            job.length = length
            commit(job, &window)
        }
        return window
    }

    @Test("where a large job must wait for room, small ones of other lanes go meanwhile, and no other large one")
    func waits() {
        var window = window([(1, large, 1), (2, large, 2), (3, 10, 3), (4, 10, 3), (5, 10, 2)])
        #expect(next(&window, large) == 1)
        #expect(next(&window, large - 1) == 3, "the large one of user 2 was next")
        #expect(next(&window, large - 1) == 4)
        #expect(next(&window, large - 1) == nil, "behind a large one its own lane waits")
        #expect(next(&window, large) == 2)
        #expect(next(&window, 0) == 5)
    }

    @Test("a large job with room is begun in its turn, and one with none at all is not lost")
    func room() {
        var window = window([(1, large, 1), (2, large, 1)])
        #expect(next(&window, 0) == nil && next(&window, 0) == nil)
        #expect(window.count == 2 && window.running(0) == 0)
        #expect(next(&window, .max) == 1)
        #expect(next(&window, large) == 2)
    }

    @Test("a large body is read from the spool when its job is begun, ready or due, and arrives whole")
    func bodies() async throws {
        let shop = try Shop(workers: 4, isPaused: true)
        try await shop.submit([
            .init(bytes: large), .init(bytes: Limits.largeBodyBytes), .init(delay: 0.01, bytes: large),
        ])
        shop.clock.advance(seconds: 1)
        try await shop.settleDown()
        shop.kind.answerAll(HandKind.delivered)
        _ = try await shop.onLoop { $0.pause(false) }
        let log = try await shop.kind.log.until { $0.began.count == 3 }
        #expect(log.lengths.sorted() == [Limits.largeBodyBytes, large, large])
        try await shop.settleDown()
        #expect(shop.spool.tally.jobs == 0 && shop.spool.tally.bytes == 0)
    }

    @Test("many large jobs are worked on few at a time, and all of them")
    func few() async throws {
        let shop = try Shop(workers: 16, isPaused: true)
        let bytes = Limits.largeInHandBytesMax / 4
        let ids = try await shop.submit((0..<8).map { _ in .init(bytes: bytes) } + [.init(), .init()])
        _ = try await shop.onLoop { $0.pause(false) }
        try await shop.kind.log.until { $0.inHand == 4 }
        try await shop.settleDown()
        #expect(shop.kind.log.value.inHand == 4)
        shop.kind.answerAll(HandKind.delivered)
        let log = try await shop.kind.log.until { $0.began.count == 10 }
        #expect(Set(log.began) == Set(ids))
        #expect(log.mostInHand <= 6)
    }

    @Test("a job that is longer than all that may be in hand is begun alone")
    func alone() async throws {
        let shop = try Shop(workers: 4)
        try await shop.submit([.init(bytes: Limits.largeInHandBytesMax + 1), .init(bytes: large)])
        try await shop.kind.log.until { $0.inHand == 1 }
        try await shop.settleDown()
        #expect(shop.kind.log.value.inHand == 1)
        shop.kind.answerAll(HandKind.delivered)
        try await shop.kind.log.until { $0.began.count == 2 }
    }

    @Test("where the line cannot be read the job waits, uses up no attempt, and goes later")
    func unreadable() async throws {
        let shop = try Shop(workers: 1, isPaused: true)
        let id = try await shop.submit([.init(attemptsMax: 1, bytes: large)])[0]
        try await shop.settleDown()
        shop.keeping.play { $0.bodiesFail = true }
        _ = try await shop.onLoop { $0.pause(false) }
        try await shop.settleDown()
        #expect(try await shop.state(id) == .scheduled)
        #expect(shop.kind.log.value.began.isEmpty)
        shop.keeping.play { $0.bodiesFail = false }
        shop.kind.answerAll(HandKind.delivered)
        shop.clock.advance(seconds: 10)
        let log = try await shop.kind.log.until { $0.began == [id] }
        #expect(log.attempts == [1])
    }
}
