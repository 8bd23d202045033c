// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import MailJob
import Synchronization
import Systemd

/// Everything that can happen in maild, one method each: the metrics, the log and those who watch are fed by the same
/// call, so that they cannot disagree. Callable from any thread; none of the methods waits.
///
/// `kind` is an index into `kinds`; an index that is none is counted as the last kind. `seconds` come from a monotonic
/// clock. Texts from the network may be given as they are: the log escapes them and no label is made of them.
package final class Events: Sendable {
    package let journal: Journal
    package let kinds: [String]
    package let metrics: Metrics
    /// Who of the machine's users is which app, for whoever tells of jobs.
    package let apps: Apps
    package let watchers = Watchers()
    let clock: any Clock
    /// As `started` was told; empty before.
    private let startedVersion = Mutex("")
    private let hidesAddresses = Atomic(false)
    package let failures = RecentFailures()
    let refusedLines = Throttle()
    let clientRefusedLines = Throttle()
    let awayLines = Throttle()
    let spoolLines = TextThrottle()

    /// - Parameters:
    ///   - kinds: names of the job kinds, for the `type` label. At least one.
    ///   - workerLabel: the worker_* metrics carry `worker_id`.
    package init(
        kinds: [String], journal: Journal, workerLabel: Bool = true, apps: Apps = Apps(),
        clock: any Clock = SystemClock()
    ) {
        precondition(!kinds.isEmpty, "a daemon without kinds of jobs has no events")
        self.kinds = kinds
        self.journal = journal
        self.apps = apps
        self.clock = clock
        metrics = Metrics(kinds: kinds, workerLabel: workerLabel)
    }

    /// The relay's handle; the same for the same name. For start and reload: takes a lock.
    package func relayHandle(_ name: String) -> RelayHandle { metrics.connections.relay(name) }

    /// The app's handle; the same for the same name. For new connections and reloads: takes a lock.
    package func appHandle(_ name: String) -> AppHandle { metrics.apps.handle(name, isShown: !apps.isEmpty) }

    /// The queues that jobs may name, and what numbers the spool gave to all that ever were. For start and reload.
    package func know(queues: [String: UInt16], configured: [String]) {
        metrics.queues.know(queues, configured: configured)
    }

    /// False: of an address the log has only the domain. May be changed at any time.
    package var showsAddresses: Bool {
        get { !hidesAddresses.load(ordering: .relaxed) }
        set { hidesAddresses.store(!newValue, ordering: .relaxed) }
    }

    var version: String {
        get { startedVersion.withLock { $0 } }
        set { startedVersion.withLock { $0 = newValue } }
    }

    /// All metrics as a scraper reads them. One call at a time.
    func expose(_ gauges: Gauges, _ format: TextFormat, into bytes: inout [UInt8]) {
        metrics.daemon.logDropped(total: journal.droppedTotal)
        metrics.render(gauges, format, into: &bytes)
    }

    func known(_ kind: Int) -> Int { kinds.indices.contains(kind) ? kind : kinds.count - 1 }
}

/// What was counted since the start, over all kinds.
package struct Totals: Equatable, Sendable {
    package var accepted = 0
    package var rejected = 0
    package var attempts = 0
    package var attemptSeconds = 0.0
    package var delivered = 0
    package var failed = 0
    package var expired = 0
    package var cancelled = 0

    package init() {}
}

extension Events {
    package var totals: Totals {
        var totals = Totals()
        let jobs = metrics.jobs
        let queues = metrics.queues.all
        totals.accepted = queues.flatMap(\.accepted).reduce(0) { $0 + Int($1.value) }
        totals.rejected = jobs.rejected.values.reduce(Int(jobs.rejectedOtherwise.value)) { $0 + Int($1.value) }
        (totals.attempts, totals.attemptSeconds) = metrics.workers.total
        let ends = JobMetrics.outcomes.indices.map { end in
            queues.flatMap(\.completed).reduce(0) { $0 + Int($1[end].value) }
        }
        (totals.delivered, totals.failed, totals.expired, totals.cancelled) = (ends[0], ends[1], ends[2], ends[3])
        return totals
    }
}
