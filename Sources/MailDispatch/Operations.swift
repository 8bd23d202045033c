// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailTelemetry
import MailTransport
import MailWire
import NIOCore

/// Facts that outlive a restart, by the names under which the spool keeps them.
package enum DispatchFact {
    /// What `mailctl scale` asked for, and the configured number it was asked in place of: `12 8`.
    package static let workers = "workers"
    package static let paused = "paused"

    package static func paused(queue: String) -> String { SharedFact.paused(queue: queue) }

    /// The number of workers to start with: what was scaled to, unless the configuration has changed since.
    package static func workers(_ facts: [String: String], configured: Int) -> Int {
        let parts = (facts[workers] ?? "").split(separator: " ").compactMap { Int($0) }
        guard parts.count == 2, parts[1] == configured, (1...Limits.workersMax).contains(parts[0]) else {
            return configured
        }
        return parts[0]
    }
}

/// What an operator's verb came to.
package struct ChangeReport: Sendable {
    package var changed: [ChangedJob] = []
    /// Jobs to which it does not apply, with their state on disk; nil where there is no such job.
    package var unchanged: [(id: JobID, state: JobState?)] = []

    package init() {}

    init(_ outcome: ChangeOutcome, running: Set<JobID>) {
        changed = outcome.changed
        unchanged = outcome.unchanged + running.sorted().map { ($0, .running) }
    }
}

// What operators do. All on the loop.
extension Dispatcher {
    /// - Parameter count: 1 to `Limits.workersMax`, or 0 for the configured number.
    /// - Returns: how many workers were wanted before.
    package func scale(to count: Int) -> Int {
        loop.assertInEventLoop()
        let previous = pool.target
        let wanted = count == 0 ? configuredWorkers : count
        pool.scale(to: wanted, now: clock.monotonic())
        for kind in kinds { kind.staffed(by: wanted) }
        spool?.set(DispatchFact.workers, to: count == 0 ? nil : "\(wanted) \(configuredWorkers)")
        events.scaled(from: previous, to: wanted)
        pump()
        return previous
    }

    /// - Returns: whether it was paused before.
    package func pause(_ paused: Bool) -> Bool {
        loop.assertInEventLoop()
        let before = isPaused
        isPaused = paused
        spool?.set(DispatchFact.paused, to: paused ? "yes" : nil)
        if paused { releaseAtHand() }
        if before != paused { events.paused(paused) }
        pump()
        return before
    }

    /// Stops and restarts the claiming of one queue's jobs; where the spool is shared, at every node.
    /// - Returns: whether it was paused before.
    package func pause(_ paused: Bool, queue: UInt16, name: String) -> Bool {
        loop.assertInEventLoop()
        let before = window.rules[queue]?.isPaused ?? false
        spool?.set(DispatchFact.paused(queue: name), to: paused ? "yes" : nil)
        obey(paused, queue: queue, name: name)
        return before
    }

    func obey(_ paused: Bool, queue: UInt16, name: String) {
        let before = window.rules[queue]?.isPaused ?? false
        window.rules[queue, default: QueueRule()].isPaused = paused
        if paused { releaseAtHand(queue: queue) } else { fleet.want() }
        if before != paused { events.paused(paused, queue: name, number: queue) }
        pump()
    }

    /// An operator's verb for at most `Limits.changeJobsMax` jobs. Those in a worker's hands are left alone; `done` on
    /// the loop.
    /// - Parameter uid: the operator's.
    package func change(
        _ change: JobChange, _ ids: [JobID], by uid: UInt32,
        done: @escaping @Sendable (Result<ChangeReport, SpoolError>) -> Void
    ) {
        loop.assertInEventLoop()
        guard let spool, !ids.isEmpty else { return done(.success(ChangeReport())) }
        // What has ended in this tick must be on its way to the disk before the verb is.
        flush()
        let running = running(ids)
        let now = clock.now()
        let order = ChangeOrder(
            change, ids.filter { !running.contains($0) }, at: now,
            history: NoteRecord(at: now, event: change.event, by: uid).line, expirySeconds: settings.expirySeconds)
        // None of them must be begun from here on.
        window.withdraw(order.ids)
        spool.change(order) { [self] result in
            loop.execute { [self] in changed(order, by: uid, running, result, done) }
        }
    }

    private func changed(
        _ order: ChangeOrder, by uid: UInt32, _ running: Set<JobID>, _ result: Result<ChangeOutcome, SpoolError>,
        _ done: (Result<ChangeReport, SpoolError>) -> Void
    ) {
        switch result {
        case .success(let outcome):
            window.restore(outcome.unchanged.map(\.id))
            for job in outcome.changed { tell(order.change, OperatedJob(job, by: uid)) }
            done(.success(ChangeReport(outcome, running: running)))
        case .failure(let error):
            window.restore(order.ids)
            done(.failure(error))
        }
        pump()
    }

    private func tell(_ change: JobChange, _ job: OperatedJob) {
        switch change {
        case .retry: events.retried(job)
        case .cancel: events.cancelled(job)
        case .hold: events.held(job)
        case .release: events.released(job)
        case .purge: events.purged(job)
        }
    }

    /// A reload: a changed number of workers ends what `scale` had asked for.
    package func apply(_ settings: DispatchSettings) {
        loop.assertInEventLoop()
        self.settings = settings
        let paused = window.rules.filter(\.value.isPaused).keys
        window.rules = settings.queues
        for queue in paused { window.rules[queue, default: QueueRule()].isPaused = true }
        defer { pump() }
        guard settings.workers != configuredWorkers else { return }
        configuredWorkers = settings.workers
        _ = scale(to: 0)
    }

    package var report: DispatchReport {
        loop.assertInEventLoop()
        let now = clock.monotonic()
        var report = DispatchReport()
        report.workers = pool.places.enumerated().compactMap { number, place in
            // Retired, and kept only because one with a higher number is still busy.
            if number >= pool.target, place.job == nil { return nil }
            let kind = Int(place.kind) < kinds.count ? kinds[Int(place.kind)].type : nil
            return DispatchReport.Worker(
                number: number, job: place.job, kind: place.job == nil ? nil : kind, seconds: now - place.since)
        }
        report.target = pool.target
        report.configured = configuredWorkers
        report.busy = pool.busy
        report.busyByClass = pool.busyByClass
        report.isPaused = isPaused
        report.dueLoaded = window.dueLoaded
        report.dueByClass = window.dueByClass
        report.oldestReady = window.oldest
        report.queues = queueReports
        return report
    }

    private var queueReports: [UInt16: DispatchReport.Queue] {
        let oldest = window.oldestByQueue
        var queues: [UInt16: DispatchReport.Queue] = [:]
        for number in (spool?.queues ?? [:]).values {
            queues[number] = DispatchReport.Queue(
                rule: window.rules[number] ?? QueueRule(), running: window.running(number),
                oldestReady: oldest[number])
        }
        return queues
    }

    package var transportReports: [TransportReport] { kinds.flatMap(\.reports) }

    package func closeKinds(done: @escaping @Sendable () -> Void) {
        var open = kinds.count
        for kind in kinds {
            kind.close {
                open -= 1
                if open == 0 { done() }
            }
        }
    }

    /// Queues in which jobs are not begun.
    package var pausedQueues: Set<UInt16> { Set(window.rules.filter(\.value.isPaused).keys) }

    /// Which of these jobs is in a worker's hands: the spool cannot know.
    package func running(_ ids: [JobID]) -> Set<JobID> {
        let inHand = Set(pool.places.compactMap(\.job))
        return Set(ids).intersection(inHand)
    }
}

extension JobChange {
    /// As a job's history has it.
    fileprivate var event: String {
        switch self {
        case .retry: "retried"
        case .cancel: "cancelled"
        case .hold: "held"
        case .release: "released"
        case .purge: "purged"
        }
    }
}

extension OperatedJob {
    fileprivate init(_ job: ChangedJob, by uid: UInt32) {
        self.init(
            id: job.id, kind: Int(job.group.kind), queue: job.group.queue, state: job.state, by: uid,
            trace: job.line.flatMap { line in line.withUnsafeBytes { TraceContext(of: $0) } })
    }
}
