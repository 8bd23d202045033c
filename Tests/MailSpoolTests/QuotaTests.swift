// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// Part of the suite that every keeping must pass: what one user may have waiting.
@Suite("Quotas of users", .timeLimit(.minutes(2)))
struct QuotaTests {
    private func quota(jobs: Int? = nil, bytes: Int? = nil) -> Quota {
        var quota = Quota()
        (quota.jobsMax, quota.bytesMax) = (jobs, bytes)
        return quota
    }

    private func append(
        _ stage: Stage, _ drafts: [Draft], uid: UInt32 = 1000, _ quota: Quota
    ) async throws -> [Bool] {
        let chunk = stage.chunk(drafts, uid: uid)
        chunk.quota = quota
        stage.spool.append([chunk])
        _ = await stage.probe.receipts(1)
        return drafts.indices.map { index in
            if case .quota = chunk.refusals[index] { return false }
            #expect(chunk.refusals[index] == nil)
            return true
        }
    }

    @Test("past his number of jobs a user is refused, and nobody else is", arguments: Shelf.Kind.allCases)
    func jobs(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let three = quota(jobs: 3)
        let drafts = [Draft(), Draft(due: 60), Draft(queue: 0), Draft(), Draft()]
        #expect(try await append(stage, drafts, three) == [true, true, true, false, false])
        #expect(try await append(stage, [Draft()], three) == [false])
        #expect(try await append(stage, [Draft(), Draft()], uid: 2000, three) == [true, true])
        #expect(stage.spool.tally.count(uid: 1000).waiting == 3 && stage.spool.tally.count(uid: 2000).waiting == 2)
    }

    @Test(
        "what has ended makes room, what failed does too, and a restart forgets nothing", arguments: Shelf.Kind.allCases
    )
    func room(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let two = quota(jobs: 2)
        #expect(try await append(stage, [Draft(), Draft(), Draft()], two) == [true, true, false])
        let ids = try await stage.list().map(\.id)
        try stage.reopen()
        #expect(try await append(stage, [Draft()], two) == [false])
        await stage.settle([Settlement(ids[0], to: .delivered)])
        #expect(try await append(stage, [Draft(), Draft()], two) == [true, false])
        await stage.settle([Settlement(ids[1], to: .failed)])
        #expect(try await append(stage, [Draft(), Draft()], two) == [true, false])
    }

    @Test("bytes are counted to the last one, and a smaller job may still fit", arguments: Shelf.Kind.allCases)
    func bytes(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let ten = quota(bytes: 10)
        let bodies = ["123456", "12345", "1234", "1"].map { Draft(body: $0) }
        #expect(try await append(stage, bodies, ten) == [true, false, true, false])
        #expect(stage.spool.tally.count(uid: 1000).bytes == 10)
    }

    @Test("several chunks of one commit are counted together", arguments: Shelf.Kind.allCases)
    func together(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let chunks = (0..<6).map { _ in stage.chunk([Draft(), Draft(queue: 1), Draft()]) }
        for chunk in chunks { chunk.quota = quota(jobs: 10) }
        stage.spool.append(chunks)
        _ = await stage.probe.receipts(6)
        #expect(chunks.map(\.keptIDs.count) == [3, 3, 3, 1, 0, 0])
    }

    @Test("a repeat is no new job, and is answered whatever the quota", arguments: Shelf.Kind.allCases)
    func repeats(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        let keyed = Draft(key: IdempotencyKey(name: [1], digest: Array(repeating: 7, count: 16)))
        #expect(try await append(stage, [keyed, Draft(), keyed], quota(jobs: 1)) == [true, false, true])
        #expect(try await append(stage, [keyed], quota(jobs: 0)) == [true])
        #expect(stage.spool.tally.jobs == 1)
    }

    @Test("a quota of none refuses everything", arguments: [(0, nil), (nil, 0)] as [(Int?, Int?)])
    func none(_ jobs: Int?, _ bytes: Int?) async throws {
        let stage = try Stage(.memory)
        #expect(try await append(stage, [Draft()], quota(jobs: jobs, bytes: bytes)) == [false])
    }

    @Test("users of an app are counted together where it is told of")
    func usage() async throws {
        let stage = try Stage(.memory)
        for uid: UInt32 in [1, 2, 3] { _ = try await stage.append([Draft(), Draft(body: "1234", due: 60)], uid: uid) }
        var shop = App(name: "shop")
        shop.users = [1, 2]
        let usage = Apps([shop]).usage(stage.spool.tally)
        #expect(usage.map(\.app) == ["shop", "other"])
        #expect(usage.map(\.jobs) == [4, 2] && usage.map(\.bytes) == [12, 6] && usage.map(\.failed) == [0, 0])
    }
}
