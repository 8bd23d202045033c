// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import MailJob

/// The daemon as a whole.
final class DaemonMetrics: Sendable {
    private let buildInfo: Family<Gauge>
    private let ready: Gauge
    private let heartbeat: Gauge
    private let reloadSucceeded: Gauge
    private let reloadTime: Gauge
    private let logDropped: Counter

    init(_ registry: Registry) {
        buildInfo = registry.gauges("maild_build_info", "1, labelled with the version.", labels: ["version"])
        ready = registry.gauge("maild_ready", "Whether maild serves (1) or starts or stops (0).")
        heartbeat = registry.gauge(
            "maild_heartbeat_timestamp_seconds", "When every part of the daemon was last seen to move.")
        reloadSucceeded = registry.gauge(
            "maild_config_last_reload_successful", "Whether the last reading of the configuration took effect (1).")
        reloadTime = registry.gauge(
            "maild_config_last_reload_timestamp_seconds", "When the configuration last took effect.")
        logDropped = registry.counter(
            "maild_log_lines_dropped_total", "Log lines dropped because the log could not be written as fast.")
    }

    func set(_ gauges: Gauges) {
        ready.set(gauges.ready)
        heartbeat.set(Double(gauges.heartbeat.milliseconds) / 1000)
    }

    func started(version: String, at time: WallTime) {
        buildInfo.with(version).set(1)
        reloaded(at: time, succeeded: true)
    }

    /// Of a failed reload only the failure is kept: the time is that of the configuration in force.
    func reloaded(at time: WallTime, succeeded: Bool) {
        reloadSucceeded.set(succeeded)
        if succeeded { reloadTime.set(Double(time.milliseconds) / 1000) }
    }

    /// `total` only grows; whatever is new of it is added.
    func logDropped(total: Int) { logDropped.add(total - Int(logDropped.value)) }
}
