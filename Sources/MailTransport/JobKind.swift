// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import NIOCore

/// One attempt at one job, as a worker is given it.
package struct Work: Sendable {
    package var job: JobID
    /// The submitted line.
    package var body: ByteBuffer
    /// Recipients' fates before this attempt, in the kind's own order; nil while all are open.
    package var fates: [Fate]?
    /// 1 for the first.
    package var attempt: Int
    /// Which trace the job belongs to, for whoever gets the work.
    package var trace: TraceContext?

    package init(job: JobID, body: ByteBuffer, fates: [Fate]?, attempt: Int, trace: TraceContext? = nil) {
        self.trace = trace
        self.job = job
        self.body = body
        self.fates = fates
        self.attempt = attempt
    }
}

/// What an attempt came to.
package struct WorkResult: Sendable {
    /// All recipients' fates after it.
    package var fates: [Fate]
    /// Who was tried this time, with the verdict.
    package var tried: [Trial]
    /// Some were not tried, for no fault of theirs.
    package var putOff: PutOff?
    /// Why the job's row cannot be what was written: nothing was tried, and never will be.
    package var damage: String?
    /// Seconds from now before which whoever deferred it does not want to be asked again.
    package var notBefore: Double?
    package var relay: String
    package var peer: String?
    /// Such as `TLSv1.3`; nil in clear.
    package var tls: String?
    /// The envelope's sender, where the kind has one.
    package var sender: String?
    /// The app's own name for the job.
    package var ref: String?
    /// The work's, whatever the kind made of it.
    package var trace: TraceContext?

    package init(
        fates: [Fate], tried: [Trial], relay: String, peer: String? = nil, tls: String? = nil, sender: String? = nil,
        ref: String? = nil, putOff: PutOff? = nil
    ) {
        self.putOff = putOff
        self.fates = fates
        self.tried = tried
        self.relay = relay
        self.peer = peer
        self.tls = tls
        self.sender = sender
        self.ref = ref
    }

    /// What is on disk of the job does not fit together: whom it was sent to cannot be told.
    package static func damaged(_ fates: [Fate], _ reason: String) -> WorkResult {
        var result = WorkResult(fates: fates, tried: [], relay: "maild")
        result.damage = reason
        return result
    }

    /// Whoever was tried is done with, and the rest only waits: this was no attempt.
    package var isWaitingOnly: Bool {
        putOff != nil
            && !tried.contains {
                switch $0.verdict {
                case .deferred, .unknown: true
                case .delivered, .rejected: false
                }
            }
    }
}

/// A kind of job. Lives on the delivery loop: every call comes on it, every answer is given on it.
///
/// A kind never throws and never forgets: `done` is called exactly once for each `run`, whatever happens.
package protocol JobKind: AnyObject {
    /// The value of a submission's `type`.
    var type: String { get }
    func run(_ work: Work, done: @escaping (WorkResult) -> Void)
    /// No more work will come; `done` when nothing is open any more.
    func close(done: @escaping () -> Void)
    var reports: [TransportReport] { get }
    /// So many workers share all kinds.
    func staffed(by workers: Int)
    /// So many nodes of a fleet share what relays may be given.
    func shared(by nodes: Int)
    /// Whether the sender of a job with this line may want to be told of its failure.
    func mayReport(_ line: ByteBuffer) -> Bool
    /// What tells the sender of a failure: the line of a job of the same kind.
    func report(_ failure: FailedWork, done: @escaping (FailureReport) -> Void)
}

extension JobKind {
    package func staffed(by workers: Int) {}
    package func shared(by nodes: Int) {}
    package func mayReport(_ line: ByteBuffer) -> Bool { false }
    package func report(_ failure: FailedWork, done: @escaping (FailureReport) -> Void) { done(.none) }
}

/// A job that has come to a bad end.
package struct FailedWork: Sendable {
    package var job: JobID
    /// The submitted line.
    package var line: ByteBuffer
    /// Recipients' fates, in the kind's own order; nil while all are open.
    package var fates: [Fate]?
    /// All of them, the oldest first.
    package var attempts: [AttemptRecord]

    package init(job: JobID, line: ByteBuffer, fates: [Fate]?, attempts: [AttemptRecord]) {
        self.job = job
        self.line = line
        self.fates = fates
        self.attempts = attempts
    }
}

package enum FailureReport: Equatable, Sendable {
    /// Nobody wants to be told, or can be.
    case none
    case line([UInt8])
    /// The daemon stops: the failure must not be settled, so that the next start can tell of it.
    case stopping
}
