// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailSpool
import NIOCore

extension WaitingJob {
    /// A ready job; `scheduled` where `dueAt` is given.
    static func sample(
        _ id: Int64, priority: Int = 4, attempts: Int = 0, attemptsMax: Int = 0, expiresAt: WallTime = .farAhead,
        dueAt: WallTime? = nil, bytes: Int = 10, queue: UInt16 = 0, uid: UInt32 = 0
    ) -> WaitingJob {
        let id = JobID(raw: id)
        return WaitingJob(
            id: id, state: dueAt == nil ? .ready : .scheduled, kind: 0, priority: UInt8(priority), uid: uid,
            queue: queue, attempts: attempts, attemptsMax: attemptsMax, expiresAt: expiresAt, readyAt: dueAt ?? id.time,
            fates: nil,
            body: ByteBuffer(repeating: 0x20, count: bytes))
    }
}

extension Lane {
    /// That of `WaitingJob.sample`.
    static let usual = Lane(uid: 0)
}

extension ReadyWindow {
    /// At a start with jobs in the usual lane.
    static func opened() -> ReadyWindow {
        var window = ReadyWindow(hasReady: true)
        window.open([.usual])
        return window
    }
}

extension DueJobs {
    /// - Parameter hasMore: of each lane that is among the jobs.
    static func found(_ jobs: [WaitingJob], hasMore: Bool = false) -> DueJobs {
        var due = DueJobs()
        due.jobs = jobs
        if hasMore { due.incomplete = Set(jobs.map(\.lane)) }
        return due
    }
}

extension WallTime {
    static let start = WallTime(milliseconds: 1_800_000_000_000)
    static let farAhead = WallTime(milliseconds: 1_900_000_000_000)
}

/// The same numbers at each run: SplitMix64.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(seed) }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
