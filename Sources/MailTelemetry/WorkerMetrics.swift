// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import Synchronization

/// The four metrics that the design began with, and the pool's own.
final class WorkerMetrics: Sendable {
    /// A label with a value for each of a thousand workers would cost Prometheus more than it tells anybody.
    static let numbersMax = 64

    private let kindCount: Int
    private let workerLabel: Bool
    private let slots: [String]
    private let kinds: [String]
    /// By slot and kind: `slot * kindCount + kind`. Made for all slots, shown as far as workers were ever wanted.
    private let processed: [Counter]
    private let processTime: [Histogram]
    private let processedFamily: Family<Counter>
    private let processTimeFamily: Family<Histogram>
    private let shown = Atomic(0)
    private let running: [Gauge]
    private let able: [Gauge]
    private let idle: Gauge
    private let busy: Gauge
    private let target: Gauge
    let busySeconds: Counter

    init(_ registry: Registry, kinds: [String], workerLabel: Bool) {
        let labels = (workerLabel ? ["worker_id"] : []) + ["type"]
        let processedFamily = registry.counters(
            "worker_jobs_processed_total", "Attempts that ended.", labels: labels)
        let runningFamily = registry.gauges("worker_jobs_running", "Jobs in a worker's hands.", labels: ["type"])
        let ableFamily = registry.gauges(
            "worker_workers_running", "Workers that can run jobs of the type.", labels: ["type"])
        let processTimeFamily = registry.histograms(
            "worker_jobs_process_time_seconds", "Length of an attempt.", labels: labels, buckets: Ladder.attempt)
        let stateFamily = registry.gauges("maild_workers", "Workers by what they do.", labels: ["state"])
        target = registry.gauge("maild_workers_target", "Workers that are wanted.")
        busySeconds = registry.counter(
            "maild_workers_busy_seconds_total", "Time that workers have spent on attempts.", unit: .seconds)
        let slots = workerLabel ? (0..<Self.numbersMax).map(String.init) + ["other"] : [""]
        let values = slots.flatMap { slot in kinds.map { workerLabel ? [slot, $0] : [$0] } }
        processed = values.map { processedFamily.with($0, hidden: workerLabel) }
        processTime = values.map { processTimeFamily.with($0, hidden: workerLabel) }
        running = kinds.map { runningFamily.with($0) }
        able = kinds.map { ableFamily.with($0) }
        idle = stateFamily.with("idle")
        busy = stateFamily.with("busy")
        kindCount = kinds.count
        self.kinds = kinds
        self.workerLabel = workerLabel
        self.slots = slots
        self.processedFamily = processedFamily
        self.processTimeFamily = processTimeFamily
    }

    /// Workers 0 to `count - 1` are there, with or without a job so far.
    func show(count: Int) {
        let wanted = min(count, slots.count)
        guard workerLabel, wanted > shown.load(ordering: .relaxed) else { return }
        shown.store(wanted, ordering: .relaxed)
        for slot in slots[..<wanted] {
            for kind in kinds {
                processedFamily.show([slot, kind])
                processTimeFamily.show([slot, kind])
            }
        }
    }

    func ended(worker: Int, kind: Int, seconds: Double) {
        show(count: worker + 1)
        let slot = workerLabel ? min(max(0, worker), Self.numbersMax) : 0
        processed[slot * kindCount + kind].add()
        processTime[slot * kindCount + kind].observe(seconds)
        busySeconds.add(seconds: seconds)
    }

    /// Attempts that ended, and their length in all.
    var total: (count: Int, seconds: Double) {
        processTime.reduce((0, 0)) { sum, histogram in
            let total = histogram.total
            return (sum.0 + Int(total.count), sum.1 + total.sum)
        }
    }

    func set(_ gauges: Gauges) {
        for (gauge, count) in zip(running, gauges.running(kinds: kindCount)) { gauge.set(count) }
        for gauge in able { gauge.set(gauges.workersIdle + gauges.workersBusy) }
        idle.set(gauges.workersIdle)
        busy.set(gauges.workersBusy)
        target.set(gauges.workersTarget)
    }
}
