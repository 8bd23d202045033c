// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import MailTransport
import Testing

@Suite("What becomes of a job after an attempt")
struct JudgementTests {
    private static let now = WallTime.start
    /// At a chance of a half: 30 seconds after the first attempt.
    private static let due = now + 30

    struct Case: Sendable {
        var name: String
        var fates: [Fate]
        var attempts = 0
        var attemptsMax = 0
        var expiresAt = WallTime.farAhead
        var state: JobState
        var dueAt: WallTime?
    }

    static let cases = [
        Case(name: "all delivered", fates: [.delivered, .delivered], state: .delivered),
        Case(name: "one rejected", fates: [.delivered, .rejected], state: .failed),
        Case(name: "all rejected", fates: [.rejected], state: .failed),
        Case(name: "one open", fates: [.delivered, .open], state: .scheduled, dueAt: due),
        Case(name: "one open, one rejected", fates: [.rejected, .open], state: .scheduled, dueAt: due),
        Case(name: "second attempt", fates: [.open], attempts: 1, state: .scheduled, dueAt: now + 60),
        Case(name: "one attempt left", fates: [.open], attempts: 0, attemptsMax: 2, state: .scheduled, dueAt: due),
        Case(name: "out of attempts", fates: [.open], attempts: 1, attemptsMax: 2, state: .failed),
        Case(name: "only attempt", fates: [.open], attemptsMax: 1, state: .failed),
        Case(name: "delivered at the last", fates: [.delivered], attemptsMax: 1, state: .delivered),
        Case(name: "due just in time", fates: [.open], expiresAt: now + 30.001, state: .scheduled, dueAt: due),
        // No attempt is begun at expires_at itself: waiting for that moment would be in vain.
        Case(name: "due as it expires", fates: [.open], expiresAt: due, state: .failed),
        Case(name: "due too late", fates: [.open], expiresAt: now + 29, state: .failed),
        Case(name: "delivered as time ran out", fates: [.delivered], expiresAt: now + -1, state: .delivered),
    ]

    @Test("is a function of fates, attempts and time", arguments: cases)
    func judges(_ one: Case) {
        let job = WaitingJob.sample(
            1, attempts: one.attempts, attemptsMax: one.attemptsMax, expiresAt: one.expiresAt)
        let judgement = Judgement(job, one.fates, now: Self.now, retry: RetrySchedule(), chance: 0.5)
        #expect(judgement.state == one.state, "\(one.name)")
        #expect(judgement.dueAt == one.dueAt, "\(one.name)")
    }

    @Test(
        "who was told when to come again does not come before, and a fifth after that at the latest",
        arguments: [(0, 0.5, 30.0), (29, 0.5, 31.9), (100, 0, 100), (100, 1, 120), (999_999, 0.5, nil)]
            as [(Double, Double, Double?)])
    func notBefore(asked: Double, chance: Double, due: Double?) {
        let job = WaitingJob.sample(1, expiresAt: Self.now + 86_400)
        var result = WorkResult(
            fates: [.open], tried: [Trial(recipient: "", verdict: Self.later)], relay: "webhook")
        result.notBefore = asked
        let judgement = Judgement(job, result, now: Self.now, retry: RetrySchedule(), chance: chance)
        #expect(judgement.dueAt == due.map { Self.now + $0 })
        #expect(judgement.state == (due == nil ? .failed : .scheduled) && judgement.attempts == 1)
    }

    struct Waiting: Sendable {
        var name: String
        var tried: [Verdict]
        var fates: [Fate]
        var attempts = 1
        var attemptsMax = 0
        var expiresAt = WallTime.farAhead
        var state = JobState.scheduled
        var dueAt: WallTime?
        var attemptsAfter: Int
    }

    private static let ok = Verdict.delivered(Reply(250))
    private static let later = Verdict.deferred(Reply(450))
    private static let no = Verdict.rejected(Reply(550))

    static let waitings = [
        Waiting(name: "nobody tried", tried: [], fates: [.open], dueAt: now + 7, attemptsAfter: 1),
        Waiting(name: "never tried", tried: [], fates: [.open], attempts: 0, dueAt: now + 7, attemptsAfter: 0),
        Waiting(
            name: "the last attempt is kept", tried: [], fates: [.open], attemptsMax: 2, dueAt: now + 7,
            attemptsAfter: 1),
        Waiting(
            name: "no attempt left, and none used", tried: [], fates: [.open], attemptsMax: 1, dueAt: now + 7,
            attemptsAfter: 1),
        Waiting(
            name: "looked at when it expires", tried: [], fates: [.open], expiresAt: now + 3, dueAt: now + 3,
            attemptsAfter: 1),
        Waiting(
            name: "the rest waits", tried: [ok, no], fates: [.delivered, .rejected, .open], dueAt: now + 7,
            attemptsAfter: 1),
        Waiting(
            name: "one was put off by its own reply", tried: [later], fates: [.open, .open], dueAt: now + 60,
            attemptsAfter: 2),
        Waiting(
            name: "and that was the last attempt", tried: [later], fates: [.open, .open], attemptsMax: 2,
            state: .failed, attemptsAfter: 2),
    ]

    @Test("an outage is not the job's fault: who only waits uses up no attempt", arguments: waitings)
    func waits(_ one: Waiting) {
        let job = WaitingJob.sample(
            1, attempts: one.attempts, attemptsMax: one.attemptsMax, expiresAt: one.expiresAt)
        var result = WorkResult(
            fates: one.fates, tried: one.tried.map { Trial(recipient: "a@example.com", verdict: $0) }, relay: "main")
        result.putOff = PutOff(relay: "main", cause: Reply(451, "4.4.1", "away"), seconds: 7, recipients: [0])
        let judgement = Judgement(job, result, now: Self.now, retry: RetrySchedule(), chance: 0.5)
        #expect(judgement.state == one.state && judgement.dueAt == one.dueAt, "\(one.name)")
        #expect(judgement.attempts == one.attemptsAfter, "\(one.name)")
        let settlement = Settlement(job, result, judgement, began: Self.now, now: Self.now, seconds: 0.1)
        #expect(settlement.attempts == one.attemptsAfter)
        #expect(settlement.history.isEmpty == one.tried.isEmpty, "waiting alone writes no history")
    }

    @Test("a job whose time ran out is expired if it was never tried, else a dead letter", arguments: [0, 1, 7])
    func outOfTime(attempts: Int) {
        let settlement = Settlement(outOfTime: .sample(5, attempts: attempts, bytes: 17), now: Self.now)
        #expect(settlement.state == (attempts == 0 ? .expired : .failed))
        #expect(settlement.attempts == attempts)
        #expect(settlement.bytes == 17)
        #expect(settlement.dueAt == nil)
    }
}

@Suite("Facts that outlive a restart")
struct DispatchFactTests {
    @Test(
        "the number of workers is what was scaled to, unless the configured one has changed since",
        arguments: [
            (nil, 8), ("12 8", 12), ("1 8", 1), ("1024 8", 1024), ("12 9", 8), ("0 8", 8), ("1025 8", 8), ("-3 8", 8),
            ("12", 8), ("", 8), ("many 8", 8), ("12 8 8", 8),
        ] as [(String?, Int)])
    func workers(fact: String?, workers: Int) {
        let facts = fact.map { [DispatchFact.workers: $0] } ?? [:]
        #expect(DispatchFact.workers(facts, configured: 8) == workers)
    }
}
