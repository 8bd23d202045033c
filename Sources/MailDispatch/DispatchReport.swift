// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Jobs that are counted together: of one queue and kind.
package struct JobClass: Hashable, Sendable {
    /// The queue's number in the spool.
    package var queue: UInt16
    /// Index into the kinds; past their end for one that is not configured.
    package var kind: UInt8

    package init(_ queue: UInt16, _ kind: UInt8) {
        self.queue = queue
        self.kind = kind
    }
}

/// The dispatcher's numbers for status, page and metrics.
package struct DispatchReport: Sendable {
    package struct Worker: Sendable {
        package var number: Int
        /// nil while idle.
        package var job: JobID?
        package var kind: String?
        /// Since the job began, or since it ended.
        package var seconds: Double
    }

    /// How one queue is served now.
    package struct Queue: Sendable {
        package var rule: QueueRule
        package var running: Int
        package var oldestReady: WallTime?

        package init(rule: QueueRule = QueueRule(), running: Int = 0, oldestReady: WallTime? = nil) {
            self.rule = rule
            self.running = running
            self.oldestReady = oldestReady
        }
    }

    package var workers: [Worker] = []
    /// By their number in the spool; those that were ever named.
    package var queues: [UInt16: Queue] = [:]
    package var target = 0
    package var configured = 0
    package var busy = 0
    package var busyByClass: [JobClass: Int] = [:]
    package var isPaused = false
    /// Scheduled jobs whose time has come and that are at hand, or in hand.
    package var dueLoaded = 0
    package var dueByClass: [JobClass: Int] = [:]
    package var oldestReady: WallTime?

    package init() {}
}

/// The part of the report that anyone may read at any time, refreshed once a tick.
package struct DispatchGauges: Sendable {
    package var target = 0
    package var places = 0
    package var busy = 0
    package var isPaused = false
    package var dueLoaded = 0
    package var oldestReady: WallTime?
    package var isDraining = false

    package init() {}
}
