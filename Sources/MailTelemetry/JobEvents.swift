// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Systemd

/// What happens to jobs.
extension Events {
    /// Jobs of one kind and queue are on disk and may be answered.
    /// - Parameter queue: its number in the spool, as everywhere.
    package func accepted(kind: Int, queue: UInt16 = 0, jobs: Int, app: AppHandle? = nil) {
        metrics.queues.handle(queue).accepted[known(kind)].add(jobs)
        app?.accepted.add(jobs)
    }

    /// Somebody watches, or reads the log: `tell` is not in vain.
    package var tellsAccepted: Bool { watchers.isOn || journal.isOn(.info) }

    /// Those that were counted as accepted, one by one: all of one kind and queue.
    /// - Parameter user: who submitted them.
    package func tell(
        _ jobs: [AcceptedJob], kind: Int, queue: UInt16 = 0, app: AppHandle? = nil, user: UInt32 = 0
    ) {
        let kind = known(kind)
        var rest = jobs[...]
        while !rest.isEmpty {
            log(rest.prefix(Self.acceptedPerLine), kind, queue, app, user)
            rest = rest.dropFirst(Self.acceptedPerLine)
        }
        for job in jobs { watch(.accepted, job.id, kind, job.queue) { $0.state = job.state } }
    }

    /// A line each would cost the log more than the jobs themselves; journald finds one that names many by any of them.
    private static let acceptedPerLine = 32

    private func log(
        _ accepted: ArraySlice<AcceptedJob>, _ kind: Int, _ queue: UInt16, _ app: AppHandle?, _ user: UInt32
    ) {
        guard let first = accepted.first, let last = accepted.last else { return }
        journal.write(.info) { line in
            line.message("")
            line.add(first.id)
            if accepted.count > 1 {
                line.add(" to ")
                line.add(last.id)
            }
            line.add(" accepted from uid ")
            line.add(Int(user))
            line.identify(EventID.accepted)
            line.field("KIND", kinds[kind])
            tell(queue, nil, to: &line)
            if let app, !apps.isEmpty { line.field("APP", app.name) }
            line.field("SUBMITTER_UID", Int(user))
            for job in accepted {
                line.field("JOB", job.id)
                tell(0, job.trace, to: &line)
            }
        }
    }

    /// A job's event for those who watch.
    private func watch(
        _ name: WatchedEvent.Name, _ job: JobID, _ kind: Int, _ queue: UInt16, _ fill: (inout WatchedEvent) -> Void
    ) {
        watchers.tell {
            var event = WatchedEvent(name, at: clock.now())
            (event.job, event.kind, event.queue) = (job, known(kind), queue)
            fill(&event)
            return event
        }
    }

    /// A submission repeated an earlier one's key, and was answered with its job.
    package func deduplicated(kind: Int) { metrics.jobs.deduplicated[known(kind)].add() }

    /// Lines were answered with an error of docs/protocol.md.
    package func refused(error: String, lines: Int, app: AppHandle? = nil) {
        app?.refused.add(lines)
        (metrics.jobs.rejected[error] ?? metrics.jobs.rejectedOtherwise).add(lines)
        guard journal.isOn(.info), let held = refusedLines.pass(clock.monotonic()) else { return }
        journal.write(.info) { line in
            line.message("lines refused: ")
            line.add(lines)
            line.identify(EventID.refused)
            line.field("ERROR", error)
            if let app, !apps.isEmpty { line.field("APP", app.name) }
            line.addHeld(held)
        }
    }

    /// The spool's writer made rows durable; `seconds` is the length of the transaction with its fsync.
    package func committed(rows: Int, seconds: Double) {
        metrics.store.commitSeconds.observe(seconds)
        metrics.store.commitRows.observe(Double(rows))
    }

    /// The spool could not do what it had to: `message` says what and why.
    package func spoolFailed(_ message: String) {
        metrics.store.errors.add()
        // A database that recovers refuses dozens of attempts a second.
        guard let held = spoolLines.pass(message, clock.monotonic()) else { return }
        journal.write(.error) { line in
            line.message("spool: ")
            line.add(message)
            line.identify(EventID.spoolFailed)
            line.addHeld(held)
        }
    }

    /// A job's row cannot be what was written: it is held. `reason` says how it shows.
    package func damaged(job: JobID, reason: String) {
        metrics.store.damaged.add()
        journal.write(.error) { line in
            line.message("")
            line.add(job)
            line.add(" is damaged on disk and held: ")
            line.add(reason)
            line.identify(EventID.damaged)
            line.field("JOB", job)
        }
    }

    /// No job is taken any more, for `reason`; delivery goes on. Nil: they are taken again.
    package func readOnly(reason: String?, freeBytes: Int?) {
        journal.write(reason == nil ? .notice : .error) { line in
            if let reason {
                line.message("no job is taken: ")
                line.add(reason)
                line.identify(EventID.readOnly)
            } else {
                line.message("jobs are taken again")
                line.identify(EventID.writable)
            }
            if let freeBytes { line.field("FREE_BYTES", freeBytes) }
        }
    }

    /// At start, so many unfinished jobs were found.
    package func recovered(jobs: Int) {
        metrics.jobs.recovered.add(jobs)
        journal.write(jobs > 0 ? .notice : .info) { line in
            line.message("unfinished jobs found in the spool: ")
            line.add(jobs)
            line.identify(EventID.recovered)
        }
    }

    /// The daemon before this one died with the job in hand, once too often or not.
    package func crashed(job: JobID, isHeld: Bool) {
        metrics.jobs.crashed.add()
        journal.write(isHeld ? .error : .warning) { line in
            line.message("")
            line.add(job)
            line.add(" was in hand when maild died")
            line.add(isHeld ? ", for the third time: it is held" : ": it is tried again")
            line.identify(EventID.crashed)
            line.field("JOB", job)
        }
    }

    /// A ready job has waited so long for a worker.
    package func queueWait(queue: UInt16 = 0, seconds: Double) { metrics.queues.handle(queue).wait.observe(seconds) }

    /// `worker` counts from 0, `attempt` from 1.
    package func attemptBegan(worker: Int, job: JobID, kind: Int, queue: UInt16, attempt: Int) {
        metrics.workers.show(count: worker + 1)
        watch(.attempted, job, kind, queue) { event in
            event.state = .running
            event.attempts = attempt - 1
        }
    }

    package func attemptEnded(worker: Int, kind: Int, seconds: Double, result: AttemptResult) {
        let kind = known(kind)
        metrics.workers.ended(worker: worker, kind: kind, seconds: seconds)
        metrics.jobs.attempts[kind][result.rawValue].add()
        metrics.jobs.duration[kind][result.rawValue].observe(seconds)
    }

    /// No relay took the job's mail: nothing was tried, and it waits. Many at a time, hence told to who debugs alone;
    /// the relay's own line says why.
    /// - Parameter user: who submitted it.
    package func putOff(
        job: JobID, kind: Int, queue: UInt16, user: UInt32? = nil, trace: TraceContext? = nil, relay: String,
        cause: Reply
    ) {
        let kind = known(kind)
        metrics.jobs.putOff[kind].add()
        watch(.putOff, job, kind, queue) { event in
            (event.state, event.relay, event.detail) = (.scheduled, relay, cause.text)
        }
        journal.write(.debug) { line in
            line.message("")
            line.add(job)
            line.add(" waits for relay ")
            line.add(relay)
            line.add(": ")
            line.add(cause.text)
            line.identify(EventID.putOff)
            line.field("JOB", job)
            line.field("KIND", kinds[kind])
            tell(queue, trace, to: &line)
            addApp(of: user, to: &line)
            line.field("RELAY", relay)
        }
    }

    /// What became of the job, on its way to the disk. `state`: delivered, scheduled or ready (deferred, to be tried
    /// again), failed, expired, cancelled or held. `endToEndSeconds` counts from acceptance.
    package func settled(
        job: JobID, kind: Int, queue: UInt16, user: UInt32? = nil, trace: TraceContext? = nil, state: JobState,
        attempts: Int, endToEndSeconds: Double,
        verdicts: [Trial], relay: String
    ) {
        let kind = known(kind)
        completed(state, kind, queue, endToEndSeconds)
        if state == .failed || state == .expired { remember(job, kind: kind, relay: relay, verdicts) }
        let ending = JobEnding(state, verdicts)
        journal.write(ending.priority) { line in
            line.tell(ending, of: job, verdicts, relay, showing: showsAddresses)
            line.identify(ending.id)
            line.field("JOB", job)
            line.field("KIND", kinds[kind])
            tell(queue, trace, to: &line)
            addApp(of: user, to: &line)
            line.field("ATTEMPTS", attempts)
            line.field("SECONDS", seconds: endToEndSeconds)
            if !relay.isEmpty { line.field("RELAY", relay) }
        }
        watch(ending.name, job, kind, queue) { event in
            (event.state, event.attempts, event.verdicts) = (state, attempts, verdicts)
            if !relay.isEmpty { event.relay = relay }
        }
    }

    /// Of a state that is an end.
    func completed(_ state: JobState, _ kind: Int, _ queue: UInt16, _ endToEndSeconds: Double) {
        guard let outcome = JobMetrics.outcomes.firstIndex(of: state) else { return }
        metrics.queues.handle(queue).completed[kind][outcome].add()
        metrics.jobs.endToEnd[kind][outcome].observe(endToEndSeconds)
    }

    /// The sender is told that the job failed, by another that is on disk.
    package func reported(
        job: JobID, kind: Int, queue: UInt16, user: UInt32? = nil, state: JobState, report: JobID
    ) {
        let kind = known(kind)
        metrics.jobs.reported[kind].add()
        journal.write(.info) { line in
            line.message("")
            line.add(job)
            line.add(" is reported to its sender by ")
            line.add(report)
            line.identify(EventID.reported)
            line.field("JOB", job)
            line.field("KIND", kinds[kind])
            tell(queue, nil, to: &line)
            addApp(of: user, to: &line)
            line.field("REPORT", report)
        }
        watch(.reported, job, kind, queue) { event in
            (event.state, event.report) = (state, report)
        }
    }

    /// Of `default` nothing is said: it is where every job is that names no queue. The names of the other two are those
    /// of OpenTelemetry's "Trace Context in non-OTLP Log Formats".
    func tell(_ queue: UInt16, _ trace: TraceContext?, to line: inout JournalLine) {
        if queue != 0 { line.field("QUEUE", metrics.queues.handle(queue).name) }
        guard let trace else { return }
        line.field("TRACE_ID", String(trace.traceID))
        line.field("SPAN_ID", String(trace.spanID))
    }

    /// By its name and never by a number; nothing where no app is configured.
    private func addApp(of user: UInt32?, to line: inout JournalLine) {
        guard let user, !apps.isEmpty else { return }
        line.field("APP", apps.name(of: user))
    }
}

/// A job that came in, for those who watch.
package struct AcceptedJob: Sendable {
    package var id: JobID
    /// The queue's number in the spool.
    package var queue: UInt16
    package var state: JobState
    package var trace: TraceContext?

    package init(id: JobID, queue: UInt16, state: JobState, trace: TraceContext? = nil) {
        self.trace = trace
        self.id = id
        self.queue = queue
        self.state = state
    }
}
