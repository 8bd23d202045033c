// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import Synchronization

/// Everybody a spool talks to, in one: what came is noted, and can be waited for.
final class Probe: ReceiptSink, SpoolListener, SpoolObserver {
    private let chunks = AsyncStream<Chunk>.makeStream()
    private let ends = AsyncStream<JobID>.makeStream()
    private let notes = Mutex(Notes())

    struct Notes {
        /// Rows of each commit.
        var commits: [Int] = []
        /// Chunks in each call of the sink.
        var receipts: [Int] = []
        var errors: [SpoolError] = []
        var changes: [ChangedJob] = []
        var reports: [ReportedJob] = []
        var settled: [JobID] = []
        var damaged: [DamagedRow] = []
        var health: [SpoolHealth] = []
    }

    var noted: Notes { notes.withLock { $0 } }

    func committed(_ chunks: [Chunk]) {
        notes.withLock { $0.receipts.append(chunks.count) }
        for chunk in chunks { self.chunks.continuation.yield(chunk) }
    }

    func committed(_ chunks: [Chunk], settled: [JobID]) {
        notes.withLock { $0.settled += settled }
        for id in settled { ends.continuation.yield(id) }
    }

    func changed(_ jobs: [ChangedJob]) { notes.withLock { $0.changes += jobs } }

    func reported(_ jobs: [ReportedJob]) { notes.withLock { $0.reports += jobs } }

    func committed(rows: Int, seconds: Double) { notes.withLock { $0.commits.append(rows) } }

    func setAside(_ row: DamagedRow) { notes.withLock { $0.damaged.append(row) } }
    func changed(_ health: SpoolHealth) { notes.withLock { $0.health.append(health) } }
    func spoolFailed(_ error: SpoolError) { notes.withLock { $0.errors.append(error) } }

    /// The next chunks that come back, kept or refused.
    func receipts(_ count: Int) async -> [Chunk] { await Self.next(count, of: chunks.stream) }

    /// The next jobs whose settlement is on disk.
    func settled(_ count: Int) async -> [JobID] { await Self.next(count, of: ends.stream) }

    private static func next<Value>(_ count: Int, of stream: AsyncStream<Value>) async -> [Value] {
        var values: [Value] = []
        guard count > 0 else { return [] }
        for await value in stream {
            values.append(value)
            if values.count == count { break }
        }
        return values
    }
}

/// Both clocks stand still until they are moved.
final class TestClock: Clock {
    static let start = WallTime(milliseconds: 1_800_000_000_000)
    private let times = Mutex((wall: TestClock.start, monotonic: 1000.0))

    func now() -> WallTime { times.withLock { $0.wall } }
    func monotonic() -> Double { times.withLock { $0.monotonic } }

    /// Negative: as if somebody had set the clock back.
    func advance(wall seconds: Double) { times.withLock { $0.wall = $0.wall + seconds } }
    func advance(monotonic seconds: Double) { times.withLock { $0.monotonic += seconds } }
}
