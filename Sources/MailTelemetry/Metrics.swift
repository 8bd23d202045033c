// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition

/// All metrics of maild. The parts are fed by `Events` as things happen, and by `set` with how things stand.
///
/// They are classes because reading a field of a struct of many arrays may copy, and count the owners of, all of them.
package final class Metrics: Sendable {
    let registry = Registry()
    let workers: WorkerMetrics
    let queues: QueueMetrics
    let jobs: JobMetrics
    let store: StoreMetrics
    let fleet: FleetMetrics
    let connections: ConnectionMetrics
    let apps: AppMetrics
    let daemon: DaemonMetrics

    /// Registered in the order in which a reader would ask: the daemon, its queues, its jobs, its workers, what lies
    /// around them.
    init(kinds: [String], workerLabel: Bool) {
        daemon = DaemonMetrics(registry)
        queues = QueueMetrics(registry, kinds: kinds)
        jobs = JobMetrics(registry, kinds: kinds)
        workers = WorkerMetrics(registry, kinds: kinds, workerLabel: workerLabel)
        store = StoreMetrics(registry)
        fleet = FleetMetrics(registry)
        connections = ConnectionMetrics(registry)
        apps = AppMetrics(registry)
        ProcessMetrics.register(in: registry)
    }

    /// The exposition of everything, with `gauges` for how things stand. One call at a time.
    func render(_ gauges: Gauges, _ format: TextFormat, into bytes: inout [UInt8]) {
        daemon.set(gauges)
        queues.set(gauges.queues)
        workers.set(gauges)
        store.set(gauges)
        fleet.set(gauges.fleet)
        connections.set(gauges)
        apps.set(gauges.apps)
        registry.render(format, into: &bytes)
    }
}

/// Buckets by what they measure.
enum Ladder {
    /// 1 ms to about 4 minutes, each twice the one before: an attempt ends by its SMTP time-outs at the latest.
    static let attempt = Buckets([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300])
    /// A wait or a whole life: from milliseconds to the five days after which a job is given up.
    static let life = Buckets([0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400, 432_000])
    /// One fsync on flash takes a tenth of a millisecond, a checkpoint within tens, a sick disk seconds.
    static let commit = Buckets([0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5])
    static let rows = Buckets(from: 1, times: 4, count: 7)
}
