// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import MailSpool
import Synchronization
import Testing

/// A disk that fills: jobs are refused before it is full, ends are written to the last, and all comes back by itself.
@Suite(.timeLimit(.minutes(2)))
struct SpaceTests {
    /// Bytes that are said to be free.
    final class Gauge: Sendable {
        private let bytes = Mutex(1 << 30)
        var free: Int {
            get { bytes.withLock { $0 } }
            set { bytes.withLock { $0 = newValue } }
        }
    }

    static func limits() -> SpoolLimits {
        var limits = SpoolLimits()
        limits.freeBytesMin = 1000
        return limits
    }

    static func stage(_ kind: Shelf.Kind, _ gauge: Gauge, _ disk: MoodyDisk = MoodyDisk()) throws -> Stage {
        try Stage(kind, limits: limits()) { keeping in
            let trick = TrickKeeping(keeping) { batch throws(SpoolError) in try disk.before(batch) }
            trick.free = { gauge.free }
            return trick
        }
    }

    @Test(
        "with little left no job is taken, ends are written, repeats are known, and room ends it",
        arguments: Shelf.Kind.allCases)
    func low(_ kind: Shelf.Kind) async throws {
        let gauge = Gauge()
        let stage = try Self.stage(kind, gauge)
        let key = IdempotencyKey(name: [1], digest: [1])
        let ids = try await stage.append([Draft(key: key), Draft()]).keptIDs
        gauge.free = 999
        // Nobody looks twice in a second.
        #expect(try await stage.append([Draft()]).keptIDs.count == 1)
        stage.clock.advance(monotonic: 1.1)
        let refused = try await stage.append([Draft(), Draft(key: key)])
        #expect(refused.refusals[0].map { if case .outOfSpace = $0 { true } else { false } } == true)
        #expect(refused.repeats[1]?.id == ids[0])
        #expect(stage.spool.health.refusal == .lowOnSpace && stage.spool.health.freeBytes == 999)
        await stage.settle([Settlement(ids[1], to: .delivered)])
        #expect(try await stage.change(.hold, [ids[0]]).changed.count == 1)
        #expect(stage.spool.health.refusal == .lowOnSpace)
        // A little more than the bound is not enough to begin again.
        gauge.free = 1050
        stage.clock.advance(monotonic: 1.1)
        #expect(try await stage.append([Draft()]).refusals.count == 1)
        gauge.free = 1125
        stage.clock.advance(monotonic: 1.1)
        await stage.turn()
        #expect(stage.spool.health.refusal == nil)
        #expect(try await stage.append([Draft()]).keptIDs.count == 1)
        #expect(stage.probe.noted.health.map(\.refusal) == [.lowOnSpace, nil])
        #expect(stage.probe.noted.errors == [])
    }

    @Test("room is measured at most once a second, and not at all while nobody comes")
    func cheap() async throws {
        let looks = Mutex(0)
        let stage = try Stage(.memory, limits: Self.limits()) { keeping in
            let trick = TrickKeeping(keeping) { _ in }
            trick.free = {
                looks.withLock { $0 += 1 }
                return 5000
            }
            return trick
        }
        for _ in 0..<50 { try await stage.append([Draft()]) }
        let first = looks.withLock { $0 }
        #expect(first == 1)
        for _ in 0..<5 {
            stage.clock.advance(monotonic: 10)
            await stage.turn()
        }
        #expect(looks.withLock { $0 } == 1)
        try await stage.append([Draft()])
        #expect(looks.withLock { $0 } == 2)
    }

    @Test("the watch", arguments: [(1000, false), (999, true), (0, true), (1_000_000, false)])
    func watch(_ free: Int, _ isLow: Bool) {
        var watch = SpaceWatch()
        watch.note(free: free, least: 1000, now: 5)
        #expect(watch.isLow == isLow && !watch.isDue(5.9) && watch.isDue(6))
        watch.note(free: nil, least: 1000, now: 7)
        #expect(!watch.isLow)
        watch.note(free: 1, least: 0, now: 8)
        #expect(!watch.isLow)
    }

    /// Refuses commits that bring more than so many bytes.
    static func small(_ disk: MoodyDisk, _ bytesMax: Int) {
        disk.refuse(with: .outOfSpace(message: "no room")) { _, batch in
            batch.chunks.reduce(0) { $0 + $1.bytes.readableBytes } > bytesMax
        }
    }

    @Test("a commit that does not fit does not fail what would fit", arguments: Shelf.Kind.allCases)
    func divided(_ kind: Shelf.Kind) async throws {
        let disk = MoodyDisk()
        let stage = try Self.stage(kind, Gauge(), disk)
        let ids = try await stage.append([Draft(), Draft()]).keptIDs
        Self.small(disk, 300)
        // The writer is held up, so that it finds them all together.
        let gate = Gate()
        stage.spool.beat { gate.pass() }
        await gate.arrival()
        let sizes = [100, 5000, 90, 200, 6000, 5000, 110]
        stage.spool.append(sizes.map { stage.chunk([Draft(body: String(repeating: "x", count: $0))]) })
        stage.spool.settle([Settlement(ids[0], to: .delivered)])
        gate.open()
        let chunks = await stage.probe.receipts(sizes.count)
        #expect(await stage.probe.settled(1) == [ids[0]])
        for chunk in chunks {
            let isSmall = chunk.submissions[0].range.count <= 200
            #expect(chunk.refusals.isEmpty == isSmall, "\(chunk.submissions[0].range.count) bytes")
        }
        #expect(try await stage.list().count == 1 + 4)
        #expect(try await stage.counted() == stage.spool.tally)
        // 7 chunks, and no more than a few commits that came to nothing.
        #expect(stage.probe.noted.errors.count <= 6)
    }

    @Test("ends that do not fit are written from what was put by")
    func reserve() async throws {
        let disk = MoodyDisk()
        let gauge = Gauge()
        let given = Mutex(0)
        let stage = try Stage(.memory, limits: Self.limits()) { keeping in
            let trick = TrickKeeping(keeping) { batch throws(SpoolError) in try disk.before(batch) }
            trick.free = { gauge.free }
            trick.release = {
                disk.refuse { _, _ in false }
                return given.withLock {
                    $0 += 1
                    return $0 == 1
                }
            }
            return trick
        }
        let ids = try await stage.append([Draft()]).keptIDs
        disk.refuse(with: .outOfSpace(message: "no room")) { _, _ in true }
        await stage.settle([Settlement(ids[0], to: .delivered)])
        #expect(given.withLock { $0 } == 1 && stage.probe.noted.errors == [])
        #expect(stage.spool.isWritable)
    }

    @Test("the reserve takes as much of the disk as it says, and gives it back")
    func reserveFile() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/reserve"
        let blocks = {
            var status = stat()
            return stat(path, &status) == 0 ? Int(status.st_blocks) * 512 : 0
        }
        let reserve = Reserve(path: path)
        #expect(!reserve.release())
        reserve.fill(to: 1 << 20)
        #expect(reserve.bytes == 1 << 20 && blocks() >= 1 << 20)
        #expect(Reserve(path: path).bytes == 1 << 20)
        reserve.fill(to: 1 << 18)
        #expect(reserve.bytes == 1 << 18 && blocks() >= 1 << 18 && blocks() < 1 << 20)
        #expect(reserve.release() && !reserve.release() && blocks() == 0)
        reserve.fill(to: 0)
        #expect(directory.names == [])
        // More than there is: nothing is taken.
        reserve.fill(to: 1 << 60)
        #expect(reserve.bytes == 0 && directory.names == [])
    }
}
