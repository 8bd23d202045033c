// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailJob
import MailTelemetry
import MailTransport

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
        gauges.jobs = jobs(report)
        gauges.runningByKind = rooms.dispatcher.gauges.busyByKind
        gauges.oldestReadySeconds = report.oldestReady.map { max(0, house.clock.now().seconds(since: $0)) } ?? 0
        gauges.workersBusy = report.busy
        gauges.workersIdle = max(0, report.target - report.busy)
        gauges.workersTarget = report.target
        gauges.spoolBytes = rooms.spool.storedBytes()
        gauges.spoolBytesMax = rooms.spool.limits.bytesMax
        gauges.spoolBodyBytes = rooms.spool.tally.bytes
        gauges.spoolIsWritable = rooms.spool.isWritable
        gauges.clientConnections = rooms.intake.connections
        gauges.relays = rooms.dispatcher.transportReports.map(Gauges.Relay.init)
        return gauges
    }

    private func jobs(_ report: DispatchReport) -> Gauges.Jobs {
        let tally = rooms.spool.tally
        return Gauges.Jobs(
            ready: max(0, tally.ready + report.dueLoaded - report.busy),
            scheduled: max(0, tally.scheduled - report.dueLoaded), running: report.busy, held: tally.held,
            failed: tally.failed)
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
