// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import MailJob
import Synchronization

/// Jobs by their queue. The label is a name of the configuration; of queues that it no longer names only so many have
/// a label of their own, and the rest is `other`.
final class QueueMetrics: Sendable {
    private let kinds: [String]
    private let accepted: Family<Counter>
    private let completed: Family<Counter>
    private let jobs: Family<Gauge>
    private let oldestReady: Family<Gauge>
    private let wait: Family<Histogram>
    private let paused: Family<Gauge>
    private let book = Mutex(Book())

    private struct Book {
        /// Names by the numbers that the spool gave them.
        var names: [UInt16: String] = [0: "default"]
        var configured: Set<String> = ["default"]
        /// By label.
        var handles: [String: QueueHandle] = [:]
        /// By number, as far as they were asked for: what the hot path looks into.
        var byNumber: [QueueHandle?] = []
    }

    static let other = "other"

    init(_ registry: Registry, kinds: [String]) {
        self.kinds = kinds
        accepted = registry.counters(
            "maild_jobs_accepted_total", "Jobs put on disk and answered.", labels: ["queue", "type"])
        completed = registry.counters(
            "maild_jobs_completed_total", "Jobs that reached their end.", labels: ["queue", "type", "outcome"])
        jobs = registry.gauges("maild_jobs", "Unfinished jobs by state.", labels: ["queue", "type", "state"])
        oldestReady = registry.gauges(
            "maild_queue_oldest_ready_age_seconds", "How long the oldest ready job has waited; 0 where none waits.",
            labels: ["queue"])
        wait = registry.histograms(
            "maild_queue_wait_seconds", "Time from being ready to the start of the first attempt.", labels: ["queue"],
            buckets: Ladder.life)
        paused = registry.gauges(
            "maild_queue_paused", "Whether an operator has stopped the claiming of the queue's jobs (1).",
            labels: ["queue"])
        know([:], configured: [])
    }

    /// The queues of the configuration are shown from now on, with or without jobs. `default` is always one of them.
    /// - Parameter numbers: the spool's, of all queues that ever were.
    func know(_ numbers: [String: UInt16], configured: [String]) {
        book.withLock { book in
            for (name, number) in numbers { book.names[number] = name }
            book.configured = Set(configured + ["default"])
            // A queue that was one of the others may have become one of the configuration.
            book.byNumber = []
            for name in ["default"] + configured { _ = handle(label: name, &book) }
        }
    }

    /// By the queue's number in the spool; the same for the same number until the configuration changes.
    func handle(_ number: UInt16) -> QueueHandle {
        book.withLock { book in
            if Int(number) < book.byNumber.count, let handle = book.byNumber[Int(number)] { return handle }
            let handle = handle(label: label(number, book), &book)
            let missing = Int(number) + 1 - book.byNumber.count
            if missing > 0 { book.byNumber += Array(repeating: nil, count: missing) }
            book.byNumber[Int(number)] = handle
            return handle
        }
    }

    private func label(_ number: UInt16, _ book: Book) -> String {
        guard let name = book.names[number] else { return Self.other }
        if book.configured.contains(name) || book.handles[name] != nil { return name }
        let former = book.handles.keys.filter { $0 != Self.other && !book.configured.contains($0) }
        return former.count < Limits.formerQueueLabelsMax ? name : Self.other
    }

    private func handle(label: String, _ book: inout Book) -> QueueHandle {
        if let handle = book.handles[label] { return handle }
        let outcomes = JobMetrics.outcomes.map(\.name)
        let handle = QueueHandle(
            name: label, accepted: kinds.map { accepted.with(label, $0) },
            completed: kinds.map { kind in outcomes.map { completed.with(label, kind, $0) } },
            jobs: kinds.map { kind in Gauges.Jobs.states.map { jobs.with(label, kind, $0) } },
            oldestReady: oldestReady.with(label), wait: wait.with(label), paused: paused.with(label))
        book.handles[label] = handle
        return handle
    }

    func set(_ queues: [Gauges.Queue]) {
        let shown = byLabel(queues)
        for handle in all { handle.show(shown[handle.name] ?? Gauges.Queue(number: 0)) }
    }

    /// A queue that the configuration does not name is shown from its first job on.
    func byLabel(_ queues: [Gauges.Queue]) -> [String: Gauges.Queue] {
        var shown: [String: Gauges.Queue] = [:]
        for queue in queues where book.withLock({ isShown(queue, $0) }) {
            let label = handle(queue.number).name
            shown[label] = shown[label]?.adding(queue) ?? queue
        }
        return shown
    }

    private func isShown(_ queue: Gauges.Queue, _ book: Book) -> Bool {
        let name = book.names[queue.number] ?? Self.other
        return book.handles[name] != nil || queue.total != Gauges.Jobs()
    }

    /// With whatever was counted under their names so far.
    var all: [QueueHandle] { book.withLock { Array($0.handles.values) } }
}

/// A queue's own counters.
final class QueueHandle: Sendable {
    /// The label.
    let name: String
    /// By kind.
    let accepted: [Counter]
    /// By kind, then by outcome.
    let completed: [[Counter]]
    let wait: Histogram
    /// By kind, then by state.
    private let jobs: [[Gauge]]
    private let oldestReady: Gauge
    private let paused: Gauge

    init(
        name: String, accepted: [Counter], completed: [[Counter]], jobs: [[Gauge]], oldestReady: Gauge,
        wait: Histogram, paused: Gauge
    ) {
        self.name = name
        self.accepted = accepted
        self.completed = completed
        self.jobs = jobs
        self.oldestReady = oldestReady
        self.wait = wait
        self.paused = paused
    }

    func show(_ queue: Gauges.Queue) {
        let byKind = queue.jobs(kinds: jobs.count)
        for (gauges, jobs) in zip(jobs, byKind) { for (gauge, count) in zip(gauges, jobs.counts) { gauge.set(count) } }
        oldestReady.set(queue.oldestReadySeconds)
        paused.set(queue.isPaused)
    }
}
