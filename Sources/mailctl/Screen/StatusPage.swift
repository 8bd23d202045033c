// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// `mailctl status`: the daemon, its queue, its workers and its relays.
struct StatusPage {
    private let status: JSONValue

    /// With more workers than fit a screen, those without work are only counted.
    private static let workersShownMax = 32

    init(_ status: JSONValue) { self.status = status }

    func show(on screen: inout Screen) throws(Failure) {
        for (name, value) in [
            ("maild", daemon(screen)), ("Workers", workers(screen)), ("Queue", queue(screen)), ("Total", total),
        ] {
            try screen.line(screen.terminal.styled(name + String(repeating: " ", count: 9 - name.count), .bold) + value)
        }
        try showTrouble(on: &screen)
        try showQueues(on: &screen)
        try showWorkers(on: &screen)
        try showRelays(on: &screen)
        try showApps(on: &screen)
    }

    private func integer(_ key: String) -> Int { status[key]?.int ?? 0 }

    private func count(_ state: String) -> Int { status["counts"]?[state]?.int ?? 0 }

    private func daemon(_ screen: Screen) -> String {
        let version = Printable.text(status["version"]?.string ?? "?")
        let age = screen.age(of: status["started_at"]?.string).map { ", up \(Measure.text(seconds: $0))" } ?? ""
        let state = screen.state(status["state"]?.string ?? "?")
        let paused = status["paused"]?.bool == true ? ", \(screen.terminal.styled("paused", .yellow))" : ""
        return "\(version), \(state)\(paused), pid \(integer("pid"))\(age)"
    }

    private func workers(_ screen: Screen) -> String {
        let (wanted, configured) = (integer("workers"), integer("workers_configured"))
        let origin = wanted == configured ? "" : " (\(configured) configured)"
        return "\(count("running")) of \(wanted) running\(origin)"
    }

    private func queue(_ screen: Screen) -> String {
        let oldest = status["oldest_ready_seconds"]?.double ?? 0
        let age = count("ready") > 0 ? " (oldest \(Measure.text(seconds: oldest)))" : ""
        let failed = count("failed")
        return "\(count("ready")) ready\(age), \(count("scheduled")) scheduled, \(count("running")) running, "
            + "\(count("held")) held, " + screen.terminal.styled("\(failed) failed", failed > 0 ? .red : nil)
            + "; \(Measure.text(bytes: integer("spool_bytes")))"
    }

    private func showTrouble(on screen: inout Screen) throws(Failure) {
        if let reason = status["read_only"]?.string {
            let free = status["spool_free_bytes"]?.int.map { " (\(Measure.text(bytes: $0)) free)" } ?? ""
            let text = "no job is taken: \(Printable.text(reason))\(free)"
            try screen.line(screen.terminal.styled("Disk     ", .bold) + screen.terminal.styled(text, .red))
        }
        if integer("damaged") > 0 {
            let text = "\(integer("damaged")) jobs are damaged on disk and held: mailctl list --state held"
            try screen.line(screen.terminal.styled("Damage   ", .bold) + screen.terminal.styled(text, .red))
        }
    }

    private var total: String {
        "\(integer("accepted_total")) accepted, \(integer("delivered_total")) delivered, "
            + "\(integer("failed_total")) failed"
    }

    private func showQueues(on screen: inout Screen) throws(Failure) {
        guard var table = QueueListing.table(status, width: screen.terminal.width) else { return }
        try screen.line()
        try screen.table(&table)
    }

    private func showWorkers(on screen: inout Screen) throws(Failure) {
        let workers = status["worker_list"]?.array ?? []
        guard !workers.isEmpty else { return }
        var table = Table(
            [.init("WORKER", .right), .init("STATE"), .init("FOR", .right), .init("JOB"), .init("KIND")],
            lineWidth: screen.terminal.width)
        var idle = 0
        for worker in workers {
            if workers.count > Self.workersShownMax, worker["state"]?.string == "idle" {
                idle += 1
                continue
            }
            table.add(Self.row(worker))
        }
        try screen.line()
        try screen.table(&table)
        if idle > 0 { try screen.line("and \(idle) idle") }
    }

    private static func row(_ worker: JSONValue) -> [String] {
        [
            worker["number"]?.int.map(String.init) ?? "?", worker["state"]?.string ?? "?",
            worker["seconds"]?.double.map { Measure.text(seconds: $0) } ?? "",
            worker["job"]?.string ?? "", worker["kind"]?.string ?? "",
        ]
    }

    private func showApps(on screen: inout Screen) throws(Failure) {
        let apps = status["apps"]?.array ?? []
        guard !apps.isEmpty else { return }
        var table = Table(
            [.init("APP"), .init("WAITING", .right), .init("FAILED", .right), .init("BYTES", .right)],
            lineWidth: screen.terminal.width)
        for app in apps {
            table.add([
                app["name"]?.string ?? "?", app["jobs"]?.int.map(String.init) ?? "",
                app["failed"]?.int.map(String.init) ?? "", app["bytes"]?.int.map { Measure.text(bytes: $0) } ?? "",
            ])
        }
        try screen.line()
        try screen.table(&table)
    }

    private func showRelays(on screen: inout Screen) throws(Failure) {
        let relays = status["relays"]?.array ?? []
        guard !relays.isEmpty else { return }
        try screen.line()
        try RelayListing(relays).show(on: &screen)
    }
}
