// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// How things stand at one moment, as the daemon's parts know it: never kept by counting up and down.
package struct Gauges: Sendable {
    package struct Relay: Sendable {
        package var name: String
        /// Open now, and of these without work.
        package var connections: Int
        package var idle: Int

        /// No session comes about with it.
        package var isOpen = false
        /// Mails in line, or put off until they may go.
        package var waiting = 0
        /// Mails at a time while it is spared; nil while it is not.
        package var concurrencyMax: Double?

        package init(name: String, connections: Int, idle: Int = 0) {
            self.name = name
            self.connections = connections
            self.idle = idle
        }
    }

    package struct App: Sendable {
        package var name: String
        package var jobs: Int
        package var bytes: Int

        package init(name: String, jobs: Int, bytes: Int) {
            self.name = name
            self.jobs = jobs
            self.bytes = bytes
        }
    }

    /// Serves: what `/-/ready` answers.
    package var ready = false
    /// Every part has moved lately: what `/-/healthy` answers.
    package var healthy = false
    /// When every part was last seen to move.
    package var heartbeat = WallTime(milliseconds: 0)
    /// All queues are.
    package var paused = false
    /// Those that hold jobs, and any others.
    package var queues: [Queue] = []
    package var workersIdle = 0
    package var workersBusy = 0
    package var workersTarget = 0
    package var spoolBytes = 0
    package var spoolFreeBytes = 0
    package var damagedJobs = 0
    /// What `spool.bytes_max` bounds, and its bound.
    package var spoolBodyBytes = 0
    package var spoolBytesMax = 0
    /// Jobs are taken: the last commit went well, and there is room.
    package var spoolIsWritable = true
    package var clientConnections = 0
    /// Nothing of it where the spool is this daemon's alone.
    package var fleet = Fleet()
    package var relays: [Relay] = []
    /// Empty where none is configured.
    package var apps: [App] = []

    /// The nodes that share the spool.
    package struct Fleet: Equatable, Sendable {
        package var live = 0
        package var expired = 0
        package var running = 0
        package var leaseSeconds = 0.0

        package init() {}
    }

    package init() {}
}

/// Asked at each scrape, on the metrics server's event loop: must not wait and must not take a lock that a writer
/// holds for long.
package protocol GaugeSource: Sendable {
    func gauges() -> Gauges
}
