// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Systemd

/// A job to which an operator did something.
package struct OperatedJob: Sendable {
    package var id: JobID
    /// Index into the kinds.
    package var kind: Int
    /// The queue's number in the spool.
    package var queue: UInt16
    /// Where it stands from now on; nil: it is gone.
    package var state: JobState?
    /// The operator's user.
    package var by: UInt32
    package var trace: TraceContext?

    package init(
        id: JobID, kind: Int, queue: UInt16, state: JobState?, by: UInt32, trace: TraceContext? = nil
    ) {
        self.trace = trace
        self.id = id
        self.kind = kind
        self.queue = queue
        self.state = state
        self.by = by
    }
}

/// What operators do to jobs. Told once it is on disk.
extension Events {
    package func held(_ job: OperatedJob) { tell(.held, job, "held", EventID.held) }

    package func released(_ job: OperatedJob) { tell(.released, job, "released", EventID.released) }

    package func retried(_ job: OperatedJob) { tell(.retried, job, "to be tried again", EventID.retried) }

    package func cancelled(_ job: OperatedJob) {
        completed(.cancelled, known(job.kind), job.queue, clock.now().seconds(since: job.id.time))
        tell(.cancelled, job, "cancelled", EventID.cancelled)
    }

    package func purged(_ job: OperatedJob) { tell(.purged, job, "purged", EventID.purged) }

    /// One at a time is read, thousands are not: a line of its own says how many.
    private func tell(_ name: WatchedEvent.Name, _ job: OperatedJob, _ word: StaticString, _ id: StaticString) {
        metrics.jobs.operated[name]?.add()
        journal.write(.info) { line in
            line.message("")
            line.add(job.id)
            line.add(" ")
            line.add(word)
            line.add(" by uid ")
            line.add(Int(job.by))
            line.identify(id)
            line.field("JOB", job.id)
            line.field("KIND", kinds[known(job.kind)])
            tell(job.queue, job.trace, to: &line)
            line.field("OPERATOR_UID", Int(job.by))
        }
        watchers.tell {
            var event = WatchedEvent(name, at: clock.now())
            (event.job, event.kind, event.queue, event.state) = (job.id, known(job.kind), job.queue, job.state)
            event.by = job.by
            return event
        }
    }

    /// A verb of an operator has come to its end. `verb` is the method's name in small letters.
    package func operated(verb: String, jobs: Int, by uid: UInt32) {
        journal.write(.notice) { line in
            line.message(verb)
            line.add(" by uid ")
            line.add(Int(uid))
            line.add(": jobs changed: ")
            line.add(jobs)
            line.identify(EventID.operated)
            line.field("VERB", verb)
            line.field("JOBS", jobs)
            line.field("OPERATOR_UID", Int(uid))
        }
    }

    /// An operator lets the queue run empty (true): no new jobs are taken; or takes jobs again.
    package func draining(_ draining: Bool, by uid: UInt32) {
        journal.write(.notice) { line in
            line.message(draining ? "draining: new jobs are refused" : "new jobs are taken again")
            line.identify(draining ? EventID.drainBegan : EventID.drainEnded)
            line.field("OPERATOR_UID", Int(uid))
        }
        watchers.tell {
            var event = WatchedEvent(draining ? .draining : .drainEnded, at: clock.now())
            event.by = uid
            return event
        }
    }
}
