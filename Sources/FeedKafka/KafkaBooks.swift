// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The partitions that are ours at the moment. Each time one is assigned it gets a number of its own, which stands in
/// receipts: an answer that comes after the partition was taken away finds nobody.
package struct KafkaBooks {
    private struct Assignment {
        var partition: Int32
        var progress = PartitionProgress()
    }

    private var assignments: [UInt64: Assignment] = [:]
    private var groups: [Int32: UInt64] = [:]
    private var nextGroup: UInt64 = 1
    /// How far each partition was ever handed to us: what lies before was handed over before.
    private var seen: [Int32: Int64] = [:]

    package init() {}

    package var partitions: [Int32] { groups.keys.sorted() }

    package func contains(group: UInt64) -> Bool { assignments[group] != nil }

    package mutating func assign(_ partitions: [Int32]) {
        for partition in partitions {
            groups[partition] = nextGroup
            assignments[nextGroup] = Assignment(partition: partition)
            nextGroup += 1
        }
    }

    /// Returns the numbers of what is taken away.
    package mutating func revokeAll() -> [UInt64] {
        let gone = assignments.keys.sorted()
        assignments.removeAll()
        groups.removeAll()
        return gone
    }

    /// What became of a message that has come.
    package struct Handover: Equatable {
        package var group: UInt64
        package var isRedelivered: Bool
        /// Where the log has begun anew: the assignment that ended with that.
        package var ended: UInt64?
    }

    /// nil where the partition is not ours.
    package mutating func began(_ partition: Int32, _ offset: Int64) -> Handover? {
        guard var group = groups[partition] else { return nil }
        var ended: UInt64?
        if assignments[group]?.progress.began(offset) == false {
            ended = group
            assignments[group] = nil
            seen[partition] = nil
            assign([partition])
            group = groups[partition] ?? group
            _ = assignments[group]?.progress.began(offset)
        }
        let isRedelivered = seen[partition].map { offset < $0 } ?? false
        if !isRedelivered { seen[partition] = offset + 1 }
        return Handover(group: group, isRedelivered: isRedelivered, ended: ended)
    }

    package mutating func done(group: UInt64, _ offset: Int64) { assignments[group]?.progress.done(offset) }

    /// Partitions and offsets that Kafka is to keep now.
    package mutating func takeCommits() -> [Int32: Int64] {
        var commits: [Int32: Int64] = [:]
        for (group, assignment) in assignments {
            guard let offset = assignment.progress.uncommitted else { continue }
            commits[assignment.partition] = offset
            assignments[group]?.progress.commits(offset)
        }
        return commits
    }

    /// The answer to that; a partition that was assigned anew meanwhile only loses the news.
    package mutating func committed(_ partition: Int32, _ offset: Int64, succeeded: Bool) {
        guard let group = groups[partition] else { return }
        if succeeded {
            assignments[group]?.progress.commitSucceeded(offset)
        } else {
            assignments[group]?.progress.commitFailed()
        }
    }
}
