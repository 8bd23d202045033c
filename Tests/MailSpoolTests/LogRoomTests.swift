// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import MailSpool
import Testing

/// The log that is made as long at the start as it becomes.
@Suite(.timeLimit(.minutes(2)))
struct LogRoomTests {
    private static let length = 4224 << 10

    private static func limits(_ freeBytesMin: Int = 1 << 20) -> SpoolLimits {
        var limits = SpoolLimits()
        limits.freeBytesMin = freeBytesMin
        return limits
    }

    private static func log(_ stage: Stage) -> Int {
        var status = stat()
        return stat(stage.shelf.path + "-wal", &status) == 0 ? Int(status.st_size) : -1
    }

    @Test("no commit makes the log longer, and what is in it is read again after a crash")
    func prepared() async throws {
        let stage = try Stage(.sqlite, limits: Self.limits())
        await stage.turn()
        #expect(Self.log(stage) == Self.length)
        var ids: [JobID] = []
        for number in 0..<300 {
            ids += try await stage.append((0..<10).map { Draft(body: "\(number) \($0) " + Self.filling) }).keptIDs
        }
        #expect(Self.log(stage) == Self.length)
        let copy = try Shelf(.sqlite)
        for suffix in ["", "-wal"] {
            let bytes = try #require(TemporaryDirectory.read(stage.shelf.path + suffix))
            try TemporaryDirectory.write(bytes, to: copy.path + suffix)
        }
        let second = try Stage(copy)
        #expect(try await second.list(limit: .max).map(\.id) == ids)
        #expect(try await second.counted() == stage.spool.tally)
    }

    private static let filling = String(repeating: "x", count: 300)

    @Test("a log that a crash has left is made longer behind what is in it")
    func behind() async throws {
        let stage = try Stage(.sqlite)
        let ids = try await stage.append((0..<50).map { Draft(body: "\($0)") }).keptIDs
        #expect((1..<Self.length).contains(Self.log(stage)))
        let copy = try Shelf(.sqlite)
        for suffix in ["", "-wal"] {
            let bytes = try #require(TemporaryDirectory.read(stage.shelf.path + suffix))
            try TemporaryDirectory.write(bytes, to: copy.path + suffix)
        }
        let second = try Stage(copy, limits: Self.limits())
        await second.turn()
        #expect(Self.log(second) == Self.length)
        #expect(try await second.list().map(\.id) == ids)
        let more = try await second.append([Draft()]).keptIDs
        try second.reopen()
        #expect(try await second.list().map(\.id) == ids + more)
    }

    @Test("where there is little room the log grows as it must, and an end leaves none of it", arguments: [0, 1 << 50])
    func littleRoom(_ freeBytesMin: Int) async throws {
        let stage = try Stage(.sqlite, limits: Self.limits(freeBytesMin))
        await stage.turn()
        #expect(Self.log(stage) < Self.length)
        stage.spool.close()
        #expect(Self.log(stage) <= 0)
    }
}
