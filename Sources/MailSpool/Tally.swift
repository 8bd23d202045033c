// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Jobs that are counted together.
package struct JobGroup: Hashable, Sendable {
    package var queue: UInt16
    package var uid: UInt32
    /// Index into the daemon's list of kinds; past its end for one that is not in it.
    package var kind: UInt8

    package init(queue: UInt16 = 0, uid: UInt32, kind: UInt8) {
        self.queue = queue
        self.uid = uid
        self.kind = kind
    }
}

/// How many jobs of one group still hold their body, by state.
package struct GroupCount: Equatable, Sendable {
    package var ready = 0
    package var scheduled = 0
    package var held = 0
    package var failed = 0
    package var bytes = 0

    package init() {}

    package var jobs: Int { ready + scheduled + held + failed }
    /// Jobs that are still to be worked on.
    package var waiting: Int { ready + scheduled + held }
    var isEmpty: Bool { self == GroupCount() }

    mutating func add(_ state: JobState, jobs: Int, bytes: Int) {
        switch state {
        case .ready, .running: ready += jobs
        case .scheduled: scheduled += jobs
        case .held: held += jobs
        case .failed: failed += jobs
        case .delivered, .cancelled, .expired: return
        }
        self.bytes += bytes
    }
}

/// How many jobs, and bytes of jobs, are on disk, by state, queue, user and kind. A keeping keeps it with the jobs, but
/// for the newest thousands, so that neither a start nor a look at the status has to count many rows.
package struct Tally: Equatable, Sendable {
    package private(set) var all = GroupCount()
    /// Those that hold anything.
    package private(set) var groups: [JobGroup: GroupCount] = [:]
    /// The same over all queues and kinds.
    package private(set) var users: [UInt32: GroupCount] = [:]
    /// Finished jobs of which the history is still kept.
    package var finished = 0

    package init() {}

    package var ready: Int { all.ready }
    package var scheduled: Int { all.scheduled }
    package var held: Int { all.held }
    package var failed: Int { all.failed }
    /// Lengths of the lines of all jobs that are not finished.
    package var bytes: Int { all.bytes }
    /// Jobs that still hold their body.
    package var jobs: Int { all.jobs }

    package mutating func add(_ state: JobState, jobs: Int, bytes: Int, in group: JobGroup) {
        guard !state.isFinal else { return finished += jobs }
        all.add(state, jobs: jobs, bytes: bytes)
        groups[group, default: GroupCount()].add(state, jobs: jobs, bytes: bytes)
        users[group.uid, default: GroupCount()].add(state, jobs: jobs, bytes: bytes)
        if groups[group]?.isEmpty == true { groups[group] = nil }
        if users[group.uid]?.isEmpty == true { users[group.uid] = nil }
    }

    mutating func add(_ count: GroupCount, in group: JobGroup) {
        add(.ready, jobs: count.ready, bytes: count.bytes, in: group)
        add(.scheduled, jobs: count.scheduled, bytes: 0, in: group)
        add(.held, jobs: count.held, bytes: 0, in: group)
        add(.failed, jobs: count.failed, bytes: 0, in: group)
    }

    package mutating func move(_ settlement: Settlement) {
        add(settlement.was, jobs: -1, bytes: -settlement.bytes, in: settlement.group)
        add(settlement.state, jobs: 1, bytes: settlement.bytes, in: settlement.group)
        if let report = settlement.report { add(.scheduled, jobs: 1, bytes: report.line.count, in: settlement.group) }
    }

    /// Undoes `move`, for a settlement that found no job.
    package mutating func moveBack(_ settlement: Settlement) {
        add(settlement.state, jobs: -1, bytes: -settlement.bytes, in: settlement.group)
        add(settlement.was, jobs: 1, bytes: settlement.bytes, in: settlement.group)
        if let report = settlement.report { add(.scheduled, jobs: -1, bytes: -report.line.count, in: settlement.group) }
    }

    package func count(uid: UInt32) -> GroupCount { users[uid] ?? GroupCount() }

    /// By queue, over all users and kinds.
    package var queues: [UInt16: GroupCount] {
        var queues: [UInt16: GroupCount] = [:]
        for (group, count) in groups { queues[group.queue, default: GroupCount()].add(count) }
        return queues
    }
}

extension GroupCount {
    package mutating func add(_ other: GroupCount) {
        ready += other.ready
        scheduled += other.scheduled
        held += other.held
        failed += other.failed
        bytes += other.bytes
    }
}
