// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What the writer does while nobody waits for it: forgets old history, gives disk back, keeps a reserve.
final class SpoolUpkeep {
    private let keeping: any Keeping
    private let clock: any Clock
    private var pruneAt: Double
    /// Keys of jobs that have ended wait to be forgotten; unknown at the start.
    private var hasKeys = true
    /// When to give some disk back; nil while there is none.
    private var shrinkAt: Double?
    /// The same, while the disk is nearly full: then nobody's pause is waited for.
    private var lowShrinkAt = 0.0
    /// Giving disk back has found no room itself: not again before this.
    private var shrinkAgainAt = 0.0
    private var space = SpaceWatch()
    /// Bytes of jobs since room was measured.
    private var written = 0

    private static let pruneSeconds = 60.0
    /// A queue that was empty for so long may stay so.
    private static let idleSeconds = 2.0
    /// Between two steps, so that what comes meanwhile waits for one of them at most.
    private static let stepSeconds = 0.02
    /// Before disk is given back after an attempt at it that found no room.
    private static let noRoomSeconds = 0.5

    init(_ keeping: any Keeping, clock: any Clock) {
        self.keeping = keeping
        self.clock = clock
        pruneAt = clock.monotonic() + Self.pruneSeconds
        shrinkAt = clock.monotonic() + Self.idleSeconds
    }

    /// How long to sleep at most: an idle writer is woken by history that will grow old, disk to give back, and a disk
    /// that is nearly full.
    func patience(_ tally: Tally) -> Double? {
        let now = clock.monotonic()
        let prune = tally.finished > 0 || hasKeys ? pruneAt : nil
        let look = space.isLow ? min(now + SpaceWatch.lowLookSeconds, lowShrinkAt) : nil
        return Self.earliest(Self.earliest(prune, shrinkAt), look).map { max(0, $0 - now) }
    }

    /// nil: never. Asked after each lone job, so without an array.
    static func earliest(_ one: Double?, _ other: Double?) -> Double? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }

    /// Something was written: not idle any more.
    func wrote() { shrinkAt = clock.monotonic() + Self.idleSeconds }

    // MARK: Room

    var isLow: Bool { space.isLow }
    var freeBytes: Int? { space.freeBytes }

    /// Before jobs are taken, and while none are for want of room.
    /// - Parameter coming: bytes of the jobs that are about to be written. A second may bring much: near the bound it
    ///   is measured as often as a quarter of what is left above it has come.
    func lookForRoom(_ limits: SpoolLimits, coming: Int = 0) {
        let now = clock.monotonic()
        let spare = (space.freeBytes ?? .max) - limits.freeBytesMin
        written += coming
        guard space.isDue(now) || limits.freeBytesMin > 0 && !space.isLow && written >= spare / 4 else { return }
        written = 0
        let free = keeping.freeBytes()
        space.note(free: free, least: limits.freeBytesMin, now: now)
        let reserve = min(Limits.reserveBytes, limits.freeBytesMin / 2)
        // Of what is free beyond the bound; where there is less the reserve stays as it is.
        if let free, free >= limits.freeBytesMin + reserve { keeping.keepReserve(bytes: reserve) }
    }

    /// At the start, once room was looked for.
    func begin(_ limits: SpoolLimits) {
        guard limits.freeBytesMin > 0, let free = space.freeBytes else { return }
        guard free >= limits.freeBytesMin + 2 * Limits.reserveBytes else { return }
        keeping.keepLogRoom()
    }

    /// A commit found no room, whatever was measured.
    func foundNoRoom() {
        space.forget()
        lowShrinkAt = min(lowShrinkAt, max(clock.monotonic(), shrinkAgainAt))
    }

    // MARK: Shrinking

    func shrinkIfDue(isIdle: Bool) throws(SpoolError) {
        let now = clock.monotonic()
        // On a full disk nobody's job is taken meanwhile, and this may be what makes room.
        let isDue = space.isLow ? now >= lowShrinkAt : isIdle && shrinkAt.map { now >= $0 } ?? false
        guard isDue else { return }
        (shrinkAt, lowShrinkAt) = (nil, now + SpaceWatch.lowLookSeconds)
        shrinkAgainAt = now + Self.noRoomSeconds
        if try keeping.shrink(whole: space.isLow) {
            let next = clock.monotonic() + Self.stepSeconds
            (shrinkAt, lowShrinkAt) = (next, next)
            space.forget()
        }
        shrinkAgainAt = 0
    }

    // MARK: Forgetting

    /// - Returns: how many finished jobs were forgotten.
    func pruneIfDue(_ tally: Tally, _ limits: SpoolLimits) throws(SpoolError) -> Int {
        guard tally.finished > 0 || hasKeys, clock.monotonic() >= pruneAt else { return 0 }
        pruneAt = clock.monotonic() + Self.pruneSeconds
        let now = clock.now()
        let pruned = try keeping.prune(
            finishedBefore: now + -Double(limits.historySeconds), jobsMax: limits.historyJobsMax,
            keysBefore: now + -Double(limits.keySeconds), tally: tally)
        hasKeys = pruned.hasKeys
        // More to forget: go on soon, but let the jobs through in between.
        if pruned.hasMore { pruneAt = clock.monotonic() + Self.pruneAgainSeconds }
        if pruned.jobs > 0 { wrote() }
        return pruned.jobs
    }

    private static let pruneAgainSeconds = 0.1
}
