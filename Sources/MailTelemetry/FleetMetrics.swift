// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition

/// The nodes that share the spool, as this one sees them; zero where there are none.
final class FleetMetrics: Sendable {
    private let live: Gauge
    private let expired: Gauge
    private let running: Gauge
    private let lease: Gauge

    init(_ registry: Registry) {
        let nodes = registry.gauges(
            "maild_fleet_nodes", "Nodes that share the spool: live, or expired within the last day.", labels: ["state"])
        live = nodes.with("live")
        expired = nodes.with("expired")
        running = registry.gauge("maild_fleet_jobs_running", "Jobs in the hands of the workers of all live nodes.")
        lease = registry.gauge("maild_fleet_lease_seconds", "For how long this node's lease still lasts.")
    }

    func set(_ fleet: Gauges.Fleet) {
        live.set(fleet.live)
        expired.set(fleet.expired)
        running.set(fleet.running)
        lease.set(fleet.leaseSeconds)
    }
}
