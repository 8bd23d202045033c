// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Which jobs' ends are awaited, and those that were told before their job was known to us.
///
/// The answer to a line and the job's end come over different connections: a fast job may have ended before its answer
/// is read. An end of an unknown job is therefore kept for as long as lines are unanswered that were written before it.
struct JobWatch {
    typealias Serial = FeedMachine.Serial

    private struct Early {
        var job: String
        /// The last line that was written before it was told.
        var write: UInt64
    }

    /// A job may be that of several messages: two with one idempotency key.
    private(set) var jobs: [String: [Serial]] = [:]
    private var early: CircularBuffer<Early> = []
    private var earlyEnds: [String: JobEnd] = [:]
    private(set) var isWatching = false
    /// Jobs of lines up to this one may have ended before the watch began.
    private var unwatched: UInt64 = 0
    /// Jobs that had not ended when they were asked for, but may have been told as ended before: `Watch` tells an end
    /// up to a commit before `Show` knows of it.
    private var doubts: [String: Doubt] = [:]

    /// Ticks between two questions, and until the next one.
    private struct Doubt {
        var wait: Int
        var left: Int
    }

    /// A job that is put off for hours is asked for every five minutes.
    private static let doubtMax = 300

    var waiting: Int { jobs.count }

    mutating func begin(write: UInt64) {
        isWatching = true
        doubts.removeAll()
        unwatched = write
        forgetEarly()
    }

    mutating func lost() {
        isWatching = false
        forgetEarly()
    }

    private mutating func forgetEarly() {
        early.removeAll()
        earlyEnds.removeAll()
    }

    /// Returns whether to ask for the job, because its end may have been told already: before the watch began, or, of
    /// a job that maild knew, before this line was written.
    mutating func add(_ job: String, _ serial: Serial, write: UInt64, isDuplicate: Bool) -> Bool {
        jobs[job, default: []].append(serial)
        return isWatching && (isDuplicate || write <= unwatched)
    }

    mutating func forget(_ job: String, _ serial: Serial) {
        jobs[job]?.removeAll { $0 == serial }
        if jobs[job]?.isEmpty == true { remove(job) }
    }

    @discardableResult
    private mutating func remove(_ job: String) -> [Serial]? {
        doubts[job] = nil
        return jobs.removeValue(forKey: job)
    }

    /// It was asked for and has not ended.
    mutating func goesOn(_ job: String) {
        let wait = min(Self.doubtMax, max(1, (doubts[job]?.wait ?? 0) * 2))
        doubts[job] = Doubt(wait: wait, left: wait)
    }

    /// Returns the jobs that are to be asked for again, in order.
    mutating func tick() -> [String] {
        var due: [String] = []
        for job in doubts.keys {
            doubts[job]?.left -= 1
            if doubts[job]?.left == 0 { due.append(job) }
        }
        return due.sorted()
    }

    /// Returns the messages of the job. Where there are none yet, its end is kept.
    mutating func ended(_ job: String, _ end: JobEnd, write: UInt64, isUnanswered: Bool) -> [Serial] {
        if let serials = remove(job) { return serials }
        if isUnanswered, earlyEnds.updateValue(end, forKey: job) == nil {
            early.append(Early(job: job, write: write))
        }
        return []
    }

    func earlyEnd(of job: String) -> JobEnd? { earlyEnds[job] }

    /// Answers come in the order of the lines, so nobody asks any more for what was told before this line was written.
    mutating func answered(write: UInt64) {
        while let first = early.first, first.write < write {
            early.removeFirst()
            earlyEnds[first.job] = nil
        }
    }
}

// What becomes of jobs.
extension FeedMachine {
    /// From here on each job's end is told; what ended before must be asked for.
    package mutating func watchBegan() {
        watch.begin(write: writes)
        askAll()
    }

    package mutating func watchLost() { watch.lost() }

    /// Ends may have been missed.
    package mutating func askAll() {
        for job in watch.jobs.keys.sorted() { effect(.ask(job: job)) }
    }

    package mutating func jobEnded(_ job: String, _ end: JobEnd) {
        let isUnanswered = !written.isEmpty
        for serial in watch.ended(job, end, write: writes, isUnanswered: isUnanswered) { ended(serial, job, end) }
        grant()
    }

    /// The reply to `ask`; nil where maild does not know the job any more, because it was purged, or ended long ago.
    package mutating func told(_ job: String, _ end: JobEnd?, isKnown: Bool) {
        guard watch.jobs[job] != nil else { return }
        guard let end = end ?? (isKnown ? nil : JobEnd(state: "forgotten")) else { return watch.goesOn(job) }
        jobEnded(job, end)
    }

    /// To be called each second.
    package mutating func tick() {
        for job in watch.tick() { effect(.ask(job: job)) }
    }

    mutating func ended(_ serial: Serial, _ job: String, _ end: JobEnd) {
        guard var entry = entries[serial] else { return }
        counts.ended[end.state, default: 0] += 1
        guard settings.publishesOutcomes else { return finish(serial) }
        entry.stage = .publishing
        entries[serial] = entry
        upstream[entry.receipt] = serial
        effect(
            .publish(
                FeedOutcome(
                    receipt: entry.receipt, identity: entry.identity, job: job, end: end, ref: entry.line.ref,
                    tags: entry.line.tags)))
    }
}
