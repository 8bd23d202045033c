// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// Part of the suite that every keeping must pass: jobs of another spool go on as they stood.
@Suite(.timeLimit(.minutes(2)))
struct ImportTests {
    private static let group = JobGroup(queue: 0, uid: 2000, kind: 0)
    private static let key = IdempotencyKey(name: Array("order-17".utf8), digest: Array(repeating: 1, count: 16))

    private func job(_ number: Int64, _ state: JobState = .scheduled, due: Double? = 60) -> ImportedJob {
        ImportedJob(
            id: JobID(raw: JobID.first(at: TestClock.start + -100, node: 777).raw + number * JobID.step),
            group: Self.group, priority: 7, state: state, dueAt: due.map { TestClock.start + $0 },
            expiresAt: TestClock.start + 5000, body: Array("{\"n\":\(number)}".utf8))
    }

    private func whole() -> ImportedJob {
        var job = job(1)
        (job.attempts, job.attemptsMax, job.crashes) = (3, 9, 1)
        job.fates = [.delivered, .open, .rejected]
        job.history = Array("one\n".utf8)
        job.key = Self.key
        return job
    }

    @Test("a job is found with all that it brought, after a restart too", arguments: Shelf.Kind.allCases)
    func brings(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let job = whole()
        #expect(try await stage.take([job]) == [.imported])
        for _ in 0..<2 {
            let record = try #require(await stage.show(job.id))
            #expect(record.state == .scheduled && record.dueAt == job.dueAt && record.expiresAt == job.expiresAt)
            #expect(record.attempts == 3 && record.attemptsMax == 9 && record.crashes == 1 && record.priority == 7)
            #expect(record.fates == job.fates && record.history == job.history && record.body == job.body)
            #expect(record.uid == 2000 && record.kind == 0 && record.key == Self.key.name)
            #expect(try await stage.counted() == stage.spool.tally)
            try stage.reopen()
        }
        let due = try #require(await stage.due(60).first)
        #expect(due.id == job.id && due.attempts == 3 && due.fates == job.fates && due.isKeyed)
    }

    @Test("those set aside stay so, and a held one is released when it was to be sent", arguments: Shelf.Kind.allCases)
    func aside(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        var held = job(1, .held, due: nil)
        held.resumesAt = TestClock.start + 500
        let failed = job(2, .failed, due: nil)
        #expect(try await stage.take([held, failed]) == [.imported, .imported])
        #expect(try await stage.list(.held).map(\.id) == [held.id])
        #expect(try await stage.list(.failed).map(\.id) == [failed.id])
        try await stage.change(.release, [held.id])
        #expect(try await stage.show(held.id)?.dueAt == held.resumesAt)
    }

    @Test("twice the same changes nothing, whatever has become of it", arguments: Shelf.Kind.allCases)
    func twice(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let jobs = (1...4).map { job($0) }
        #expect(
            try await stage.take(jobs + [jobs[0]]) == [
                .imported, .imported, .imported, .imported, .known(jobs[0].id, .scheduled),
            ])
        await stage.settle([
            Settlement(jobs[0].id, from: .scheduled, to: .delivered, bytes: jobs[0].body.count, uid: 2000),
            Settlement(jobs[1].id, from: .scheduled, to: .failed, bytes: jobs[1].body.count, uid: 2000),
        ])
        let before = stage.spool.tally
        #expect(
            try await stage.take(jobs) == [
                .known(jobs[0].id, .delivered), .known(jobs[1].id, .failed), .known(jobs[2].id, .scheduled),
                .known(jobs[3].id, .scheduled),
            ])
        #expect(stage.spool.tally == before)
        var other = jobs[2]
        other.body = Array("{}".utf8)
        #expect(try await stage.take([other]) == [.refused("id: another job has it here")])
    }

    @Test("a key leads to one job, from wherever it came", arguments: Shelf.Kind.allCases)
    func keys(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let own = try #require(await stage.append([Draft(key: Self.key)], uid: 2000).keptIDs.first)
        var same = job(1)
        same.key = Self.key
        #expect(try await stage.take([same]) == [.known(own, .ready)])
        var another = same
        another.key?.digest[0] = 99
        let verdicts = try await stage.take([another])
        guard case .refused(let reason)? = verdicts.first else {
            Issue.record("not refused")
            return
        }
        #expect(reason.hasPrefix("idempotency_key: ") && reason.contains("\(own)"))
        var stranger = same
        stranger.group.uid = 3000
        #expect(try await stage.take([stranger]) == [.imported])
        let chunk = try await stage.append([Draft(key: Self.key)], uid: 3000)
        #expect(chunk.repeats[0]?.id == stranger.id)
    }

    @Test("the spool's bounds hold for it", arguments: Shelf.Kind.allCases)
    func bounds(_ kind: Shelf.Kind) async throws {
        var limits = SpoolLimits()
        limits.jobsMax = 2
        let stage = try Stage(kind, limits: limits)
        let verdicts = try await stage.take((1...3).map { job($0) })
        #expect(verdicts.prefix(2) == [.imported, .imported])
        #expect(verdicts.last == .refused("the spool holds 2 jobs, its limit"))
    }

    @Test("an id of this spool's own is not given again", arguments: Shelf.Kind.allCases)
    func ids(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        var own = job(1)
        own.id = JobID.first(at: TestClock.start + 3600, node: stage.spool.opened.node)
        #expect(try await stage.take([own]) == [.imported])
        let next = try #require(await stage.append([Draft()]).keptIDs.first)
        #expect(next > own.id)
        try stage.reopen()
        #expect(try #require(await stage.append([Draft()]).keptIDs.first) > next)
    }

    @Test("whoever works on the jobs is told when they are due", arguments: Shelf.Kind.allCases)
    func told(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        _ = try await stage.take([job(1), job(2, .held, due: nil)])
        #expect(stage.probe.noted.changes.map(\.state) == [.scheduled, .held])
        #expect(stage.probe.noted.changes.first?.dueAt == TestClock.start + 60)
    }
}

extension Stage {
    func take(_ jobs: [ImportedJob]) async throws -> [ImportVerdict] {
        let spool = spool
        let result = await withCheckedContinuation {
            (done: CheckedContinuation<Result<[ImportVerdict], SpoolError>, Never>) in
            spool.take(jobs) { done.resume(returning: $0) }
        }
        return try result.get()
    }
}
