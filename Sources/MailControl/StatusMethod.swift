// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailDispatch
import MailJob
import MailSpool
import MailTransport
import MailWire

// Status: gathered from the spool's reader and the dispatcher's loop, without stopping either.
extension ControlMethods {
    /// Scheduled jobs whose time has come are counted one by one; nobody needs the number past this.
    private static let dueCountMax = 100_000

    func status(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        _ = try Parameters(call, known: [])
        let subject = subject
        subject.spool.ask { reading in
            let due: Int
            do throws(SpoolError) {
                due = try reading.dueCount(at: subject.clock.now(), limit: Self.dueCountMax)
            } catch {
                return answer(Self.failed("SpoolFailed", error.message))
            }
            subject.dispatcher.loop.execute {
                let reports = subject.dispatcher.transportReports
                answer(VarlinkReply(Self.status(subject, subject.dispatcher.report, reports, due: due)))
            }
        }
    }

    private static func status(
        _ subject: ControlSubject, _ report: DispatchReport, _ transports: [TransportReport], due: Int
    ) -> JSONObject {
        let now = subject.clock.now()
        let totals = subject.events.totals
        let oldest = report.oldestReady.map { max(0, now.seconds(since: $0)) } ?? 0
        let health = subject.spool.health
        var object: JSONObject = [
            "version": .string(Version.text),
            "pid": JSONValue(Int(getpid())),
            "started_at": .string(subject.startedAt.rfc3339),
            "state": .string(subject.state()),
            "paused": .bool(report.isPaused),
            "workers": JSONValue(report.target),
            "workers_configured": JSONValue(report.configured),
            "counts": counts(subject.spool.tally, due: due, busy: report.busy),
            "oldest_ready_seconds": .number(oldest),
            "accepted_total": JSONValue(totals.accepted),
            "delivered_total": JSONValue(totals.delivered),
            "failed_total": JSONValue(totals.failed),
            "spool_bytes": JSONValue(subject.spool.storedBytes()),
            "queues": .array(queues(subject, report, now)),
            "worker_list": .array(report.workers.map(worker)),
            "damaged": JSONValue(health.damagedJobs),
            "relays": .array(transports.map { relay($0, now) }),
            "apps": .array(apps(subject)),
        ]
        if let complaint = health.complaint { object["read_only"] = .string(complaint) }
        if let free = subject.spool.freeBytes() { object["spool_free_bytes"] = JSONValue(free) }
        return object
    }

    /// None where none is configured.
    private static func apps(_ subject: ControlSubject) -> [JSONValue] {
        let apps = subject.events.apps
        guard !apps.isEmpty else { return [] }
        return apps.usage(subject.spool.tally).map { usage in
            [
                "name": .string(usage.app), "jobs": JSONValue(usage.jobs), "failed": JSONValue(usage.failed),
                "bytes": JSONValue(usage.bytes),
            ]
        }
    }

    /// `default` first, then by name.
    private static func queues(_ subject: ControlSubject, _ report: DispatchReport, _ now: WallTime) -> [JSONValue] {
        let counts = subject.spool.tally.queues
        let names = subject.spool.queues.sorted { ($0.value == 0 ? "" : $0.key) < ($1.value == 0 ? "" : $1.key) }
        return names.map { name, number in
            let count = counts[number] ?? GroupCount()
            let queue = report.queues[number] ?? DispatchReport.Queue()
            var object: JSONObject = [
                "name": .string(name), "weight": .number(queue.rule.weight), "paused": .bool(queue.rule.isPaused),
                "waiting": JSONValue(max(0, count.ready + count.scheduled - queue.running)),
                "running": JSONValue(queue.running), "held": JSONValue(count.held), "failed": JSONValue(count.failed),
                "bytes": JSONValue(count.bytes),
                "oldest_ready_seconds": .number(queue.oldestReady.map { max(0, now.seconds(since: $0)) } ?? 0),
            ]
            if let limit = queue.rule.concurrencyMax { object["concurrency_max"] = JSONValue(limit) }
            return .object(object)
        }
    }

    private static func counts(_ tally: Tally, due: Int, busy: Int) -> JSONValue {
        [
            "ready": JSONValue(max(0, tally.ready + due - busy)),
            "scheduled": JSONValue(max(0, tally.scheduled - due)),
            "running": JSONValue(busy),
            "held": JSONValue(tally.held),
            "failed": JSONValue(tally.failed),
        ]
    }

    private static func worker(_ worker: DispatchReport.Worker) -> JSONValue {
        var object: JSONObject = [
            "number": JSONValue(worker.number), "state": .string(worker.job == nil ? "idle" : "running"),
            "seconds": .number(worker.seconds),
        ]
        if let job = worker.job { object["job"] = .string(job.description) }
        if let kind = worker.kind { object["kind"] = .string(kind) }
        return .object(object)
    }

    func relays(_ call: VarlinkCall, _ answer: Answer) throws(ServiceError) {
        _ = try Parameters(call, known: [])
        let subject = subject
        subject.dispatcher.loop.execute {
            let now = subject.clock.now()
            answer(VarlinkReply(["relays": .array(subject.dispatcher.transportReports.map { Self.relay($0, now) })]))
        }
    }

    private static func away(_ destination: AwayDestination, _ now: WallTime) -> JSONValue {
        var object: JSONObject = ["domain": .string(destination.domain), "cause": .string(destination.cause)]
        if let seconds = destination.nextProbeSeconds { object["next_probe_at"] = .string((now + seconds).rfc3339) }
        return .object(object)
    }

    private static func relay(_ report: TransportReport, _ now: WallTime) -> JSONValue {
        var object: JSONObject = [
            "name": .string(report.name), "transport": .string(report.transport), "address": .string(report.address),
            "connections": JSONValue(report.connections), "idle": JSONValue(report.idle),
            "delivered": JSONValue(report.delivered), "deferred": JSONValue(report.deferred),
            "rejected": JSONValue(report.rejected),
            "breaker": .string(report.breaker), "waiting": JSONValue(report.waiting),
        ]
        if let cause = report.cause { object["cause"] = .string(cause) }
        if let seconds = report.nextProbeSeconds { object["next_probe_at"] = .string((now + seconds).rfc3339) }
        if let limit = report.concurrencyMax { object["concurrency_max"] = .number(limit) }
        if let destinations = report.destinations {
            object["destinations"] = JSONValue(destinations)
            object["away"] = .array(report.awayDestinations.map { away($0, now) })
        }
        return .object(object)
    }
}
