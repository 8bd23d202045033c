// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import MailJob
import Synchronization

/// An app's own counters, looked up once by `Events.appHandle`.
package final class AppHandle: Sendable {
    package let name: String
    let accepted: Counter
    let refused: Counter
    private let jobs: Gauge
    private let bytes: Gauge

    init(_ name: String, accepted: Counter, refused: Counter, jobs: Gauge, bytes: Gauge) {
        self.name = name
        self.accepted = accepted
        self.refused = refused
        self.jobs = jobs
        self.bytes = bytes
    }

    func show(_ gauges: Gauges.App) {
        jobs.set(gauges.jobs)
        bytes.set(gauges.bytes)
    }
}

/// Jobs by the app that submitted them. The label is a name of the configuration, or `other`; where none is
/// configured there are no such metrics.
final class AppMetrics: Sendable {
    private let accepted: Family<Counter>
    private let refused: Family<Counter>
    private let jobs: Family<Gauge>
    private let bytes: Family<Gauge>
    private let handles = Mutex<[String: AppHandle]>([:])

    init(_ registry: Registry) {
        accepted = registry.counters(
            "maild_app_jobs_accepted_total", "Jobs of the app put on disk and answered.", labels: ["app"])
        refused = registry.counters(
            "maild_app_jobs_rejected_total", "Lines of the app answered with an error.", labels: ["app"])
        jobs = registry.gauges("maild_app_jobs", "Jobs of the app that wait.", labels: ["app"])
        bytes = registry.gauges("maild_app_bytes", "Bytes of the app's jobs that are not finished.", labels: ["app"])
    }

    /// The same for the same name.
    func handle(_ name: String, isShown: Bool) -> AppHandle {
        handles.withLock { handles in
            let handle =
                handles[name]
                ?? AppHandle(
                    name, accepted: accepted.with(name, hidden: true), refused: refused.with(name, hidden: true),
                    jobs: jobs.with(name, hidden: true), bytes: bytes.with(name, hidden: true))
            handles[name] = handle
            guard isShown else { return handle }
            for family in [accepted, refused] { family.show([name]) }
            for family in [jobs, bytes] { family.show([name]) }
            return handle
        }
    }

    /// An app that is not in the list any more has nothing waiting under its name.
    func set(_ apps: [Gauges.App]) {
        let gone = handles.withLock { $0 }.filter { name, _ in !apps.contains { $0.name == name } }
        for handle in gone.values { handle.show(Gauges.App(name: handle.name, jobs: 0, bytes: 0)) }
        for app in apps { handle(app.name, isShown: true).show(app) }
    }
}
