// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// One checked job within a chunk.
package struct Submission: Sendable {
    /// Where its line lies, counted from the chunk's first byte.
    package var range: Range<Int>
    /// Index into the daemon's list of kinds.
    package var kind: UInt8
    package var priority: UInt8
    /// The queue's number in the spool; 0 is `default`.
    package var queue: UInt16
    /// Not before this time; nil means at once.
    package var dueAt: WallTime?
    package var expiresAt: WallTime
    /// Zero where only `expiresAt` ends the attempts.
    package var attemptsMax: Int
    /// Who says it twice means the same job.
    package var key: IdempotencyKey?
    /// Its line names the trace that it belongs to.
    package var isTraced = false

    package init(
        range: Range<Int>, kind: UInt8 = 0, priority: UInt8 = UInt8(Limits.priorityDefault), queue: UInt16 = 0,
        dueAt: WallTime? = nil, expiresAt: WallTime, attemptsMax: Int = 0, key: IdempotencyKey? = nil
    ) {
        self.range = range
        self.kind = kind
        self.priority = priority
        self.queue = queue
        self.dueAt = dueAt
        self.expiresAt = expiresAt
        self.attemptsMax = attemptsMax
        self.key = key
    }
}

/// The job that a repeated submission means.
package struct Repeat: Equatable, Sendable {
    package var id: JobID
    /// As it stands on disk: a job in a worker's hands is `ready`, or `scheduled`.
    package var state: JobState

    package init(id: JobID, state: JobState) {
        self.id = id
        self.state = state
    }
}

/// What one read from one client brought: the bytes and the jobs in them, kept or refused together with their answers.
///
/// A chunk is handed over, never shared: the intake fills it, the spool's writer fills in `firstID` and `refusals`, the
/// sink takes it back. That passing along is what makes it safe to send.
package final class Chunk: @unchecked Sendable {
    package let bytes: ByteBuffer
    package let submissions: [Submission]
    /// The submitting user, from SO_PEERCRED.
    package let uid: UInt32
    /// What the user may have waiting.
    package var quota = Quota()
    package let sink: any ReceiptSink
    /// The sink's own notes on the chunk; the spool only carries them.
    package let notes: AnyObject?

    /// The first kept job's id; the others follow by `JobID.step`, refused ones skipped.
    package var firstID = JobID(raw: 0)
    /// By index into `submissions`: why a job was not kept. Empty on the usual road.
    package var refusals: [Int: SpoolError] = [:]
    /// By index into `submissions`: which were there already. Empty on the usual road.
    package var repeats: [Int: Repeat] = [:]

    package init(
        bytes: ByteBuffer, submissions: [Submission], uid: UInt32, sink: any ReceiptSink, notes: AnyObject? = nil
    ) {
        self.bytes = bytes
        self.submissions = submissions
        self.uid = uid
        self.sink = sink
        self.notes = notes
    }

    /// Each submission became a job, as on the usual road.
    package var isAllKept: Bool { refusals.isEmpty && repeats.isEmpty }

    /// Became a job of its own by this chunk.
    package func isKept(_ index: Int) -> Bool {
        (refusals.isEmpty || refusals[index] == nil) && (repeats.isEmpty || repeats[index] == nil)
    }

    /// Its jobs are not on disk, but those that an earlier commit has kept.
    /// - Parameter lastID: the highest id that is.
    func refuse(_ error: SpoolError, after lastID: JobID) {
        for index in submissions.indices where refusals[index] == nil {
            // What an earlier commit has kept stays kept; a job of this one's was not.
            if let known = repeats[index], known.id <= lastID { continue }
            repeats[index] = nil
            refusals[index] = error
        }
    }

    func forgetVerdicts() {
        refusals = [:]
        repeats = [:]
    }

    /// Calls `body` with the index and id of each kept job, in order.
    package func forEachKept(_ body: (Int, JobID) -> Void) {
        var id = firstID
        let isAllKept = isAllKept
        for index in submissions.indices where isAllKept || isKept(index) {
            body(index, id)
            id = id.advanced(by: 1)
        }
    }
}

/// Where chunks go back to after their commit. Called on the writer's thread, or that of who stands in for it, once a
/// commit: hop from there.
package protocol ReceiptSink: AnyObject, Sendable {
    func committed(_ chunks: [Chunk])
}

extension [Chunk] {
    /// One call a sink, so that each event loop is woken once a commit.
    func giveBack() {
        guard let first else { return }
        if allSatisfy({ $0.sink === first.sink }) { return first.sink.committed(self) }
        for (_, chunks) in Dictionary(grouping: self, by: { ObjectIdentifier($0.sink) }) {
            chunks.first?.sink.committed(chunks)
        }
    }
}
