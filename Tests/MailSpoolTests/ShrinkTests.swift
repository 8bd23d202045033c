// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import MailSpool
import Testing

/// Disk that a long queue took comes back when the queue has gone, and the log does not stay as long as a read made it.
@Suite(.timeLimit(.minutes(2)))
struct ShrinkTests {
    static func size(_ stage: Stage, _ suffix: String = "") -> Int {
        var status = stat()
        return stat(stage.shelf.path + suffix, &status) == 0 ? Int(status.st_size) : 0
    }

    static func fill(_ stage: Stage, megabytes: Int) async throws -> [JobID] {
        var ids: [JobID] = []
        for _ in 0..<megabytes {
            ids += try await stage.append(
                [Draft](repeating: Draft(body: String(repeating: "x", count: 10_000)), count: 100)
            ).keptIDs
        }
        return ids
    }

    @Test("a file that is mostly free shrinks in small steps once nobody is busy")
    func shrinks() async throws {
        let stage = try Stage(.sqlite)
        let ids = try await Self.fill(stage, megabytes: 40)
        let kept = try await stage.append([Draft(body: "kept")]).keptIDs
        await stage.settle(ids.map { Settlement($0, to: .delivered, bytes: 10_000) })
        await stage.turn()
        let full = Self.size(stage)
        #expect(full > 30 << 20)
        // Not before the queue has been quiet for a while.
        #expect(Self.size(stage) == full)
        var steps = 0
        while Self.size(stage) > 12 << 20 {
            // Its patience has run out; whether the next turn is an idle one is up to the threads.
            stage.clock.advance(monotonic: 2.1)
            await stage.turn()
            steps += 1
            guard steps < 100_000 else { break }
        }
        #expect(Self.size(stage) < 12 << 20)
        #expect(try await stage.list().map(\.id) == kept)
        #expect(try await stage.counted() == stage.spool.tally)
        #expect(try await CheckTests.report(stage).isClean)
    }

    @Test("on a nearly full disk nothing is kept for the next burst, neither in the file nor in its log")
    func whole() async throws {
        let gauge = SpaceTests.Gauge()
        let stage = try SpaceTests.stage(.sqlite, gauge)
        let ids = try await Self.fill(stage, megabytes: 3)
        await stage.settle(ids.map { Settlement($0, to: .delivered, bytes: 10_000) })
        #expect(Self.size(stage) + Self.size(stage, "-wal") > 3 << 20)
        gauge.free = 1
        stage.clock.advance(monotonic: 1.1)
        // Refused, and room is measured.
        #expect(try await stage.append([Draft()]).refusals.count == 1)
        var turns = 0
        while Self.size(stage) > 1 << 20 || Self.size(stage, "-wal") > 0, turns < 10_000 {
            stage.clock.advance(monotonic: 0.1)
            await stage.turn()
            turns += 1
        }
        #expect(Self.size(stage, "-wal") == 0 && Self.size(stage) <= 1 << 20)
        #expect(try await CheckTests.report(stage).isClean)
    }

    @Test("a log that a long read made grow is cut when the read is over")
    func log() async throws {
        let stage = try Stage(.sqlite)
        try await stage.append([Draft()])
        let reader = try RawDatabase(stage.shelf.path)
        try reader.execute("BEGIN")
        _ = try reader.text("SELECT count(*) FROM jobs")
        _ = try await Self.fill(stage, megabytes: 20)
        #expect(Self.size(stage, "-wal") > 16 << 20)
        try reader.execute("COMMIT")
        // Under way as before, it cuts the log at its next restart.
        for _ in 0..<20 where Self.size(stage, "-wal") > 9 << 20 { _ = try await Self.fill(stage, megabytes: 1) }
        #expect(Self.size(stage, "-wal") <= 9 << 20)
    }

    @Test("the log is cut by an idle writer as well")
    func idleLog() async throws {
        let stage = try Stage(.sqlite)
        try await stage.append([Draft()])
        let reader = try RawDatabase(stage.shelf.path)
        try reader.execute("BEGIN")
        _ = try reader.text("SELECT count(*) FROM jobs")
        _ = try await Self.fill(stage, megabytes: 20)
        // While somebody reads nothing is cut, and nobody waits.
        stage.clock.advance(monotonic: 2.1)
        await stage.turn()
        #expect(Self.size(stage, "-wal") > 16 << 20)
        try reader.execute("COMMIT")
        var turns = 0
        while Self.size(stage, "-wal") > 9 << 20, turns < 2000 {
            try await stage.append([Draft()])
            stage.clock.advance(monotonic: 2.1)
            await stage.turn()
            turns += 1
        }
        #expect(Self.size(stage, "-wal") <= 9 << 20)
    }
}
