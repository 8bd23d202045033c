// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Which jobs are meant: those for which all conditions hold; one that is nil takes any job.
package struct JobFilter: Sendable {
    /// A scheduled job whose time has come counts as ready. Empty: all that are not finished.
    package var states: Set<JobState> = []
    /// The queue's number in the spool.
    package var queue: UInt16?
    /// Who submitted.
    package var uids: Set<UInt32>?
    /// Index into the daemon's list of kinds.
    package var kind: UInt8?
    /// Accepted at this time or later.
    package var since: WallTime?
    /// Accepted before this time.
    package var before: WallTime?
    /// What only a look into the line, or the history of a finished job, can tell. It is given whole records.
    package var letter: (@Sendable (JobRecord) -> Bool)?

    package init(states: Set<JobState> = []) { self.states = states }

    /// Ids that it may take, by when they were given.
    func ids(after: JobID) -> (after: JobID, before: JobID) {
        var first = after
        // An id holds the time of acceptance, and below it what must not count here.
        if let since { first = max(first, JobID(raw: JobID.first(at: since, node: 0).raw - 1)) }
        return (first, before.map { JobID.first(at: $0, node: 0) } ?? JobID(raw: .max))
    }

    /// Whether it looks at jobs that still have their body.
    var wantsLive: Bool { states.isEmpty || states.contains { !$0.isFinal } }
    var wantsFinished: Bool { states.contains(where: \.isFinal) }
    /// Held and failed jobs only: few, and found without a look at the others.
    var wantsAside: [JobState]? {
        let live = states.filter { !$0.isFinal }
        return !states.isEmpty && live.isSubset(of: [.held, .failed]) ? live.sorted { $0.rawValue < $1.rawValue } : nil
    }

    /// All but `letter`, and the times of acceptance.
    func takes(
        _ state: JobState, dueAt: WallTime?, at time: WallTime, queue: UInt16, uid: UInt32, kind: UInt8
    ) -> Bool {
        let isDue = state == .scheduled && dueAt.map { $0 <= time } ?? false
        guard states.isEmpty ? !state.isFinal : states.contains(isDue ? .ready : state) else { return false }
        if let wanted = self.queue, wanted != queue { return false }
        if let wanted = self.kind, wanted != kind { return false }
        return uids?.contains(uid) ?? true
    }

    /// For a record that was found in another way.
    package func takes(_ record: JobRecord, at time: WallTime) -> Bool {
        takesOutside(record, at: time) && letter?(record) ?? true
    }

    /// All but `letter`.
    func takesOutside(_ record: JobRecord, at time: WallTime) -> Bool {
        let range = ids(after: JobID(raw: 0))
        return record.id > range.after && record.id < range.before
            && takes(
                record.state, dueAt: record.dueAt, at: time, queue: record.queue, uid: record.uid, kind: record.kind)
    }
}

/// Part of what a filter takes, oldest first.
package struct JobPage: Sendable {
    package var records: [JobRecord] = []
    /// There may be more above this id; nil where the end was reached. A page may be short, or empty, and have this.
    package var next: JobID?

    package init() {}
}

/// How far one page goes: whoever waits for the same reader behind it must not wait long.
struct PageBudget {
    private var looks = Limits.listLooksMax
    private var bytes = Limits.listBytesMax

    var isSpent: Bool { looks <= 0 || bytes <= 0 }

    mutating func look() { looks -= 1 }

    /// A whole record was read; `isJudged` by its letter.
    mutating func read(_ record: JobRecord, isJudged: Bool) {
        bytes -= record.body.count
        if isJudged { looks -= Self.letterLooks }
    }

    /// Reading a line takes so many times as long as passing over a row.
    private static let letterLooks = 10
}
