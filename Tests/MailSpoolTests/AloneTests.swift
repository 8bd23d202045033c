// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import MailSpool
import Synchronization
import Testing

/// Chunks that are committed on the thread of whoever hands them over.
@Suite(.timeLimit(.minutes(2)))
struct AloneTests {
    /// Keepings that a daemon has for itself.
    private static let own: [Shelf.Kind] = [.memory, .sqlite]

    /// Once the writer sleeps.
    private static func commit(_ chunk: Chunk, on stage: Stage) async throws -> Bool {
        let spool = stage.spool
        return try await onThread {
            for _ in 0..<100_000 {
                if spool.commit(alone: chunk) { return true }
                sched_yield()
            }
            return false
        }
    }

    @Test("a chunk alone is on disk, and back with its sink, when the call returns", arguments: own)
    func commits(_ kind: Shelf.Kind) async throws {
        let stage = try Stage(kind)
        for number in 1...20 {
            #expect(try await Self.commit(stage.chunk([Draft(body: "\(number)")]), on: stage))
            #expect(stage.probe.noted.receipts.count == number)
            #expect(stage.spool.tally.ready == number)
        }
        #expect(stage.probe.noted.commits == [Int](repeating: 1, count: 20))
        let ids = await stage.probe.receipts(20).flatMap(\.keptIDs)
        #expect(zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 })
        try stage.reopen()
        #expect(try await stage.list().map(\.id) == ids)
        #expect(try await stage.counted() == stage.spool.tally)
    }

    @Test("a commit alone is the caller's own, and one after it the writer's", arguments: own)
    func thread(_ kind: Shelf.Kind) async throws {
        let names = Mutex<[String]>([])
        let stage = try Stage(kind) { keeping in
            TrickKeeping(keeping) { _ throws(SpoolError) in
                let name = TemporaryDirectory.read("/proc/thread-self/comm") ?? []
                names.withLock { $0.append(String(decoding: name, as: UTF8.self)) }
            }
        }
        #expect(try await Self.commit(stage.chunk([Draft()]), on: stage))
        try await stage.append([Draft()])
        _ = await stage.probe.receipts(1)
        let found = names.withLock { $0 }
        #expect(found.count == 2 && found[0] != "spool-writer\n" && found[1] == "spool-writer\n")
    }

    @Test("while the writer is at work a chunk is not taken alone", arguments: own)
    func busy(_ kind: Shelf.Kind) async throws {
        let (stage, gate) = try await GroupCommitTests.held(kind)
        #expect(!stage.spool.commit(alone: stage.chunk([Draft()])))
        gate.open()
        _ = await stage.probe.receipts(1)
        #expect(stage.spool.tally.ready == 1)
    }

    @Test("what is handed over while a chunk is committed alone is the writer's next commit", arguments: own)
    func meanwhile(_ kind: Shelf.Kind) async throws {
        let gate = Gate()
        let stage = try Stage(kind) { keeping in TrickKeeping(keeping) { _ throws(SpoolError) in gate.pass() } }
        let (spool, first) = (stage.spool, stage.chunk([Draft()]))
        async let isTaken = onThread {
            while !spool.commit(alone: first) { sched_yield() }
            return true
        }
        await gate.arrival()
        #expect(!spool.commit(alone: stage.chunk([Draft()])))
        for _ in 0..<3 { spool.append([stage.chunk([Draft(), Draft()])]) }
        #expect(stage.probe.noted.receipts == [])
        gate.open()
        #expect(try await isTaken)
        _ = await stage.probe.receipts(4)
        #expect(stage.probe.noted.receipts == [1, 3])
        #expect(stage.probe.noted.commits == [1, 6])
    }

    @Test("a disk that refuses is told the caller, and from then on it is the writer's to try again", arguments: own)
    func refused(_ kind: Shelf.Kind) async throws {
        let disk = MoodyDisk()
        let stage = try Stage(kind) { keeping in
            TrickKeeping(keeping) { batch throws(SpoolError) in try disk.before(batch) }
        }
        disk.refuse { _, _ in true }
        #expect(try await Self.commit(stage.chunk([Draft()]), on: stage))
        let back = await stage.probe.receipts(1)
        #expect(back.map(\.refusals.count) == [1])
        #expect(!stage.spool.isWritable)
        await stage.turn()
        #expect(!stage.spool.commit(alone: stage.chunk([Draft()])))
        disk.refuse { _, _ in false }
        #expect(try await stage.append([Draft()]).refusals.isEmpty)
        #expect(try await Self.commit(stage.chunk([Draft()]), on: stage))
        #expect(stage.spool.isWritable && stage.spool.tally.ready == 2)
    }

    @Test("a spool that nodes share is written by its writer alone")
    func shared() async throws {
        let stage = try Stage(.postgresql)
        await stage.turn()
        for _ in 0..<1000 { #expect(!stage.spool.commit(alone: stage.chunk([Draft()]))) }
        #expect(stage.probe.noted.receipts == [])
    }

    @Test("nothing is taken alone once the spool is closed")
    func closed() async throws {
        let stage = try Stage(.memory)
        stage.spool.close()
        #expect(!stage.spool.commit(alone: stage.chunk([Draft()])))
    }
}
