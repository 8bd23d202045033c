// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Synchronization
import Testing

/// A look at the whole spool finds what is wrong, and nothing where nothing is.
@Suite(.timeLimit(.minutes(2)))
struct CheckTests {
    static func report(_ stage: Stage, isFull: Bool = true) async throws -> SpoolCheckReport {
        let look = try #require(stage.spool.check(isFull: isFull))
        while true {
            if let result = stage.spool.look(look.number)?.result { return try result.get() }
            await stage.turn()
        }
    }

    static func stage() async throws -> (Stage, [JobID]) {
        let stage = try Stage(.sqlite)
        let key = IdempotencyKey(name: [1], digest: [1])
        let ids = try await stage.append([
            Draft(), Draft(due: 5), Draft(priority: 9, queue: 0, key: key), Draft(), Draft(body: "{\"k\":1}", kind: 1),
        ]).keptIDs
        await stage.settle([Settlement(ids[0], to: .delivered), Settlement(ids[3], to: .failed)])
        return (stage, ids)
    }

    @Test("a whole spool has nothing wrong with it, open or closed", arguments: [true, false])
    func clean(_ isFull: Bool) async throws {
        let (stage, _) = try await Self.stage()
        let report = try await Self.report(stage, isFull: isFull)
        #expect(report.isClean && !report.isMiscounted)
        #expect((report.jobs, report.finished, report.keys, report.unsummed) == (4, 1, 1, 0))
        #expect(throws: SpoolError.self) { try SpoolChecker.check(path: stage.shelf.path, isFull: true) { _ in true } }
        stage.spool.close()
        #expect(try SpoolChecker.check(path: stage.shelf.path, isFull: isFull) { _ in true } == report)
    }

    @Test(
        "what is wrong is said",
        arguments: [
            ("UPDATE counts SET ready = ready + 1", "tally"), ("UPDATE tally SET finished = 7", "tally"),
            ("UPDATE keys SET job = 5", "idempotency keys"), ("DELETE FROM keys", "idempotency keys"),
            ("INSERT INTO damaged VALUES (1, 5, 'why', 0, 0)", "on record as damaged"),
            ("INSERT INTO finished SELECT id, 4, kind, uid, 1, 5, NULL, 0 FROM jobs LIMIT 1", "at once"),
            ("DELETE FROM jobs WHERE state = 1", "tally"),
        ])
    func problems(_ sql: String, _ word: String) async throws {
        let (stage, _) = try await Self.stage()
        try RawDatabase.at(stage.shelf.path, sql)
        let report = try await Self.report(stage)
        #expect(report.problems.contains { $0.contains(word) }, "\(report.problems)")
    }

    @Test("a tally that does not agree with the rows is counted anew by the next start")
    func recount() async throws {
        let (stage, _) = try await Self.stage()
        try RawDatabase.at(stage.shelf.path, "UPDATE counts SET held = 70; UPDATE tally SET finished = 9")
        #expect(try await Self.report(stage).isMiscounted)
        await stage.turn()
        try stage.reopen()
        #expect(try await stage.counted() == stage.spool.opened.tally)
        #expect(try await Self.report(stage).isClean)
    }

    @Test("damaged rows that it finds are named, and held")
    func damaged() async throws {
        let (stage, ids) = try await Self.stage()
        try DamageTests.raw(stage, "UPDATE jobs SET body = x'7B7E' WHERE id IN (\(ids[1].raw), \(ids[3].raw))")
        let report = try await Self.report(stage)
        #expect(report.damaged.map(\.id) == [ids[1], ids[3]] && report.problems == [])
        await DamageTests.recorded(stage, 2)
        #expect(stage.spool.tally.held == 2 && stage.spool.tally.failed == 0)
        #expect(try await Self.report(stage).damaged == report.damaged)
    }

    @Test("neither jobs nor questions wait for it, and it tells how far it is")
    func besides() async throws {
        let stage = try Stage(.sqlite)
        for _ in 0..<10 { try await stage.append([Draft](repeating: Draft(), count: 1000)) }
        let look = try #require(stage.spool.check(isFull: true))
        #expect(try await stage.append([Draft()]).keptIDs.count == 1)
        #expect(try await stage.ready(limit: 1).count == 1)
        while stage.spool.look(look.number)?.result == nil { await stage.turn() }
        let done = try #require(stage.spool.look(look.number))
        // Whether the one that came meanwhile is among them is for the moment that it saw.
        #expect(done.progress.done == done.progress.total && (10_000...10_001).contains(done.progress.done))
        #expect(try done.result?.get().isClean == true)
        #expect(stage.spool.look(look.number + 1) == nil)
    }

    @Test("a close does not wait for it")
    func closed() async throws {
        let stage = try Stage(.sqlite)
        for _ in 0..<20 { try await stage.append([Draft](repeating: Draft(), count: 1000)) }
        let look = try #require(stage.spool.check(isFull: true))
        stage.spool.close()
        #expect(stage.spool.look(look.number)?.result != nil)
        #expect(stage.spool.check(isFull: true) == nil)
    }
}
