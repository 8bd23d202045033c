// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Testing

/// The disk refuses: nothing that was answered is lost, nothing refused is kept.
@Suite(.timeLimit(.minutes(2)))
struct FullDiskTests {
    @Test("on a full disk chunks are refused, ends are kept back, and both go on once there is room")
    func fullAndRoom() async throws {
        let keeping = Kept()
        let stage = try Stage(.sqlite) { keeping.hold($0) }
        var ids = try await stage.append([Draft(), Draft()]).keptIDs
        await keeping.limit(pages: 1, stage)
        let before = stage.spool.tally
        let big = try await stage.append(
            [Draft](repeating: Draft(body: String(repeating: "x", count: 9000)), count: 20))
        #expect(big.keptIDs == [] && big.refusals.count == 20)
        #expect(big.refusals.values.allSatisfy { if case .outOfSpace = $0 { true } else { false } })
        #expect(!stage.spool.isWritable && stage.probe.noted.errors.count == 1)
        // Longer than what fits into the pages that are there.
        let history = String(repeating: "h", count: 100_000)
        stage.spool.settle([Settlement(ids[0], to: .delivered, history: history)])
        stage.spool.set("workers", to: String(repeating: "9", count: 50_000))
        await stage.turn()
        #expect(stage.spool.tally == before)
        #expect(try await stage.counted() == before)
        #expect(try await stage.show(ids[0])?.state == .ready)
        await keeping.limit(pages: 1 << 30, stage)
        await stage.turn()
        #expect(await stage.probe.settled(1) == [ids[0]])
        #expect(stage.spool.isWritable)
        #expect(try await stage.show(ids[0])?.history.count == 100_000)
        ids += try await stage.append([Draft(), Draft()]).keptIDs
        #expect(ids.count == 4 && Set(ids).count == 4)
        try stage.reopen()
        #expect(try await stage.list().map(\.id) == Array(ids.dropFirst()))
        #expect(stage.spool.opened.settings["workers"]?.utf8.count == 50_000)
        #expect(try await stage.counted() == stage.spool.opened.tally)
    }

    @Test("a job that comes while not even the ends fit is refused, and both go on once there is room")
    func endsFirst() async throws {
        let keeping = Kept()
        let stage = try Stage(.sqlite) { keeping.hold($0) }
        let ids = try await stage.append([Draft()]).keptIDs
        await keeping.limit(pages: 1, stage)
        stage.spool.settle([Settlement(ids[0], to: .delivered, history: String(repeating: "h", count: 100_000))])
        for count in [1, 3] {
            stage.spool.append((0..<count).map { _ in stage.chunk([Draft(), Draft()]) })
            for chunk in await stage.probe.receipts(count) { #expect(chunk.refusals.count == 2) }
        }
        #expect(!stage.spool.isWritable)
        await keeping.limit(pages: 1 << 30, stage)
        #expect(try await stage.append([Draft()]).keptIDs.count == 1)
        #expect(await stage.probe.settled(1) == ids)
        #expect(try await stage.counted() == stage.spool.tally)
    }

    /// The SQLite keeping of a stage, to turn its tap. Used on the writer's thread.
    final class Kept: @unchecked Sendable {
        private var keeping: SQLiteKeeping?

        func hold(_ keeping: any Keeping) -> any Keeping {
            self.keeping = keeping as? SQLiteKeeping
            return keeping
        }

        func limit(pages: Int, _ stage: Stage) async {
            await withCheckedContinuation { done in
                stage.spool.beat {
                    #expect(throws: Never.self) { try self.keeping?.limit(pages: pages) }
                    done.resume()
                }
            }
        }
    }

    @Test(
        "whichever commit fails, what was answered is there and what was refused is not", arguments: Shelf.Kind.allCases
    )
    func eachCommit(_ kind: Shelf.Kind) async throws {
        for failing in 1...7 {
            let disk = MoodyDisk()
            let stage = try Stage(kind) { keeping in
                TrickKeeping(keeping) { batch throws(SpoolError) in try disk.before(batch) }
            }
            disk.refuse { number, _ in number == failing }
            var live: [JobID] = []
            var ended: [JobID] = []
            for _ in 0..<3 {
                let ids = try await stage.append([Draft(), Draft()]).keptIDs
                live += ids
                guard let id = ids.first else { continue }
                stage.spool.settle([Settlement(id, to: .delivered)])
                await stage.turn()
                // A commit that fails is followed by one that does not.
                await stage.turn()
                #expect(await stage.probe.settled(1) == [id])
                live.removeAll { $0 == id }
                ended.append(id)
            }
            #expect(live.count == (failing % 2 == 1 && failing < 6 ? 2 : 3), "commit \(failing)")
            #expect(stage.probe.noted.errors == (failing < 7 ? [MoodyDisk.error] : []))
            try stage.reopen()
            #expect(try await stage.list().map(\.id) == live, "commit \(failing)")
            #expect(try await stage.list(.delivered).map(\.id) == ended, "commit \(failing)")
            #expect(try await stage.counted() == stage.spool.opened.tally, "commit \(failing)")
            #expect(Set(live + ended).count == live.count + ended.count)
        }
    }

    @Test("what was set is told kept after its commit, or refused with it", arguments: Shelf.Kind.allCases)
    func facts(_ kind: Shelf.Kind) async throws {
        let disk = MoodyDisk()
        let stage = try Stage(kind) { keeping in
            TrickKeeping(keeping) { batch throws(SpoolError) in try disk.before(batch) }
        }
        func set(_ value: String?) async -> SpoolError? {
            stage.spool.set("paused", to: value)
            return await withCheckedContinuation { done in stage.spool.kept { done.resume(returning: $0) } }
        }
        #expect(await set("yes") == nil)
        disk.refuse { _, _ in true }
        #expect(await set(nil) == MoodyDisk.error)
        #expect(await set(nil) == MoodyDisk.error, "the second time too: what was refused is tried again with it")
        disk.refuse { _, _ in false }
        #expect(await set("no") == nil)
        try stage.reopen()
        #expect(stage.spool.opened.settings["paused"] == "no")
    }

    @Test("ends are written though every new job fails", arguments: Shelf.Kind.allCases)
    func endsFirst(_ kind: Shelf.Kind) async throws {
        let disk = MoodyDisk()
        let stage = try Stage(kind) { keeping in
            TrickKeeping(keeping) { batch throws(SpoolError) in try disk.before(batch) }
        }
        let ids = try await stage.append([Draft(), Draft()]).keptIDs
        disk.refuse { _, batch in !batch.chunks.isEmpty }
        #expect(try await stage.append([Draft()]).refusals.count == 1)
        for id in ids {
            // The writer is held up, so that it finds the chunk and the end together.
            let gate = Gate()
            stage.spool.beat { gate.pass() }
            await gate.arrival()
            stage.spool.append([stage.chunk([Draft()])])
            stage.spool.settle([Settlement(id, to: .delivered)])
            gate.open()
            #expect(await stage.probe.receipts(1).first?.refusals == [0: MoodyDisk.error])
            #expect(try await stage.show(id)?.state == .delivered)
            #expect(await stage.probe.settled(1) == [id])
            #expect(!stage.spool.isWritable)
        }
        #expect(try await stage.counted() == stage.spool.tally)
    }

    @Test("a chunk refused for want of room says nothing of the disk", arguments: Shelf.Kind.allCases)
    func fullIsNotWritable(_ kind: Shelf.Kind) async throws {
        let disk = MoodyDisk()
        let stage = try Stage(kind) { keeping in
            TrickKeeping(keeping) { batch throws(SpoolError) in try disk.before(batch) }
        }
        try await stage.append([Draft()])
        disk.refuse { _, _ in true }
        #expect(try await stage.append([Draft()]).refusals[0] == MoodyDisk.error)
        stage.spool.limits.jobsMax = 2
        let mixed = try await stage.append([Draft(), Draft()])
        #expect(mixed.refusals[0] == MoodyDisk.error)
        #expect(mixed.refusals[1].map { if case .full = $0 { true } else { false } } == true)
        #expect(!stage.spool.isWritable)
        // Nothing is written of this one, so nothing was learnt.
        stage.spool.limits.jobsMax = 1
        #expect(try await stage.append([Draft()]).refusals.count == 1)
        #expect(!stage.spool.isWritable)
        disk.refuse { _, _ in false }
        stage.spool.limits.jobsMax = 2
        #expect(try await stage.append([Draft()]).refusals.isEmpty)
        #expect(stage.spool.isWritable)
    }

    @Test("a commit that fails half-way leaves nothing of itself, and does not stand in the next one's way")
    func allOrNothing() throws {
        let shelf = try Shelf(.sqlite)
        let keeping = try shelf.open()
        defer { keeping.close() }
        let reading = try keeping.reading()
        defer { reading.close() }
        var batch = Batch()
        batch.chunks = [Draft.chunk([Draft()], now: TestClock.start, uid: 1, sink: Probe())]
        batch.chunks[0].firstID = JobID(raw: 1024)
        batch.settings = [("workers", "8 8")]
        batch.tally.add(.ready, jobs: 1, bytes: 2, in: JobGroup(uid: 1, kind: 0))
        batch.touched = [JobGroup(uid: 1, kind: 0)]
        batch.lastID = JobID(raw: 1024)
        // The schema refuses a scheduled job without a time, after the chunk has been written.
        batch.settlements = [Settlement(JobID(raw: 1024), to: .scheduled)]
        for _ in 0..<2 {
            #expect(throws: SpoolError.self) { try keeping.commit(batch) }
            #expect(try reading.list(state: nil, after: JobID(raw: 0), limit: 9).isEmpty)
        }
        batch.settlements = []
        #expect(try keeping.commit(batch) == batch.tally)
        #expect(try reading.list(state: nil, after: JobID(raw: 0), limit: 9).map(\.id) == [JobID(raw: 1024)])
    }
}
