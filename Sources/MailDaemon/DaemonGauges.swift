// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailDispatch
import MailIntake
import MailJob
import MailSpool
import MailTelemetry
import MailTransport
import Synchronization

/// The numbers of one moment, for a scrape. On the delivery loop, where the dispatcher's own are at hand.
struct DaemonGauges: GaugeSource {
    private let house: House
    private let rooms: House.Rooms

    init(_ house: House, _ rooms: House.Rooms) {
        self.house = house
        self.rooms = rooms
    }

    func gauges() -> Gauges {
        let report = rooms.dispatcher.report
        var gauges = Gauges()
        gauges.ready = house.state.withLock { $0 == .running || $0 == .reloading }
        gauges.healthy = house.heartbeat.isHealthy
        gauges.heartbeat = house.heartbeat.lastBeat ?? house.startedAt
        gauges.paused = report.isPaused
        gauges.queues = queues(report)
        gauges.workersBusy = report.busy
        gauges.workersIdle = max(0, report.target - report.busy)
        gauges.workersTarget = report.target
        gauges.spoolBytes = rooms.spool.storedBytes()
        let health = rooms.spool.health
        gauges.spoolFreeBytes = rooms.spool.freeBytes() ?? 0
        gauges.damagedJobs = health.damagedJobs
        gauges.spoolBytesMax = rooms.spool.limits.bytesMax
        gauges.spoolBodyBytes = rooms.spool.tally.bytes
        gauges.spoolIsWritable = health.refusal == nil
        gauges.fleet = fleet
        gauges.clientConnections = rooms.intake.connections
        gauges.apps = apps
        gauges.relays = rooms.dispatcher.transportReports.map(Gauges.Relay.init)
        return gauges
    }

    private var fleet: Gauges.Fleet {
        var fleet = Gauges.Fleet()
        guard let found = rooms.spool.fleet?.gauges else { return fleet }
        (fleet.live, fleet.expired, fleet.running) = (found.live, found.expired, found.running)
        fleet.leaseSeconds = found.leaseSeconds
        return fleet
    }

    /// Each that is configured, and those that are none of them together.
    private var apps: [Gauges.App] {
        house.events.apps.isEmpty
            ? []
            : house.events.apps.usage(rooms.spool.tally).map {
                Gauges.App(name: $0.app, jobs: $0.jobs, bytes: $0.bytes)
            }
    }

    /// Those that were ever named. From the tally, which is written with the jobs: no row is read.
    private func queues(_ report: DispatchReport) -> [Gauges.Queue] {
        let now = house.clock.now()
        var jobs = counts(report)
        return report.queues.map { number, queue in
            Gauges.Queue(
                number: number, jobs: jobs.removeValue(forKey: number) ?? [],
                oldestReadySeconds: queue.oldestReady.map { max(0, now.seconds(since: $0)) } ?? 0,
                isPaused: report.isPaused || queue.rule.isPaused)
        }
    }

    /// By queue, then by kind. What is in hand stands on disk as ready, or as scheduled with its time come.
    private func counts(_ report: DispatchReport) -> [UInt16: [Gauges.Jobs]] {
        var classes: [JobClass: GroupCount] = [:]
        for (group, count) in rooms.spool.tally.groups {
            classes[JobClass(group.queue, group.kind), default: GroupCount()].add(count)
        }
        var queues: [UInt16: [Gauges.Jobs]] = [:]
        for (name, count) in classes {
            let (due, busy) = (report.dueByClass[name] ?? 0, report.busyByClass[name] ?? 0)
            // An unknown kind's number may be any; it is counted with the last one.
            let kind = min(Int(name.kind), house.events.kinds.count - 1)
            var jobs = queues[name.queue] ?? Array(repeating: Gauges.Jobs(), count: house.events.kinds.count)
            jobs[kind] =
                jobs[kind]
                + Gauges.Jobs(
                    ready: max(0, count.ready + due - busy), scheduled: max(0, count.scheduled - due), running: busy,
                    held: count.held, failed: count.failed)
            queues[name.queue] = jobs
        }
        return queues
    }
}

extension Gauges.Relay {
    init(_ report: TransportReport) {
        self.init(name: report.name, connections: report.connections, idle: report.idle)
        isOpen = report.breaker != "closed"
        waiting = report.waiting
        concurrencyMax = report.concurrencyMax
    }
}
