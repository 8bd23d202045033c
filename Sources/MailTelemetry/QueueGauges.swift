// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

extension Gauges {
    /// Jobs on disk by state. A scheduled job whose time has come counts as ready; running jobs are counted apart.
    package struct Jobs: Equatable, Sendable {
        package var ready = 0
        package var scheduled = 0
        package var running = 0
        package var held = 0
        package var failed = 0

        package init(ready: Int = 0, scheduled: Int = 0, running: Int = 0, held: Int = 0, failed: Int = 0) {
            self.ready = ready
            self.scheduled = scheduled
            self.running = running
            self.held = held
            self.failed = failed
        }

        static let states = ["ready", "scheduled", "running", "held", "failed"]
        /// In the order of `states`.
        var counts: [Int] { [ready, scheduled, running, held, failed] }

        package static func + (one: Jobs, other: Jobs) -> Jobs {
            Jobs(
                ready: one.ready + other.ready, scheduled: one.scheduled + other.scheduled,
                running: one.running + other.running, held: one.held + other.held, failed: one.failed + other.failed)
        }
    }

    /// One queue as it stands.
    package struct Queue: Equatable, Sendable {
        /// In the spool; 0 is `default`.
        package var number: UInt16
        /// By index of their kind; shorter than the list of kinds means none of the rest.
        package var jobs: [Jobs]
        /// 0 where no job is ready.
        package var oldestReadySeconds: Double
        package var isPaused: Bool

        package init(
            number: UInt16, jobs: [Jobs] = [], oldestReadySeconds: Double = 0, isPaused: Bool = false
        ) {
            self.number = number
            self.jobs = jobs
            self.oldestReadySeconds = oldestReadySeconds
            self.isPaused = isPaused
        }

        /// Of all kinds.
        package var total: Jobs { jobs.reduce(Jobs(), +) }

        /// Those of an unknown kind are counted with the last one's.
        func jobs(kinds count: Int) -> [Jobs] {
            var byKind = Array(repeating: Jobs(), count: count)
            for (kind, jobs) in jobs.enumerated() { byKind[min(kind, count - 1)] = byKind[min(kind, count - 1)] + jobs }
            return byKind
        }

        /// Both under one name.
        func adding(_ other: Queue) -> Queue {
            let kinds = max(jobs.count, other.jobs.count, 1)
            return Queue(
                number: number, jobs: zip(jobs(kinds: kinds), other.jobs(kinds: kinds)).map { $0 + $1 },
                oldestReadySeconds: max(oldestReadySeconds, other.oldestReadySeconds),
                isPaused: isPaused || other.isPaused)
        }
    }

    /// Over all queues and kinds.
    package var jobs: Jobs { queues.reduce(Jobs()) { $0 + $1.total } }

    /// 0 where no job is ready.
    package var oldestReadySeconds: Double { queues.map(\.oldestReadySeconds).max() ?? 0 }

    /// Jobs in workers' hands by index of their kind.
    func running(kinds count: Int) -> [Int] {
        queues.reduce(into: Array(repeating: 0, count: count)) { running, queue in
            for (kind, jobs) in queue.jobs(kinds: count).enumerated() { running[kind] += jobs.running }
        }
    }
}
