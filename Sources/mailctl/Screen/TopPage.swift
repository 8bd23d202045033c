// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// A page of `mailctl top`: what a look should tell first comes first.
struct TopPage {
    private let status: JSONValue
    private let rates: Rates
    private let screen: Screen
    private let problem: String?

    /// - Parameters:
    ///   - status: the last that is known; nil before the first.
    ///   - problem: why there is no newer one.
    init(_ status: JSONValue?, _ rates: Rates, _ screen: Screen, problem: String? = nil) {
        self.status = status ?? .object([:])
        self.rates = rates
        self.screen = screen
        self.problem = problem
    }

    var lines: [String] {
        var lines = [title]
        if let problem { lines.append(screen.terminal.styled(Printable.text(problem), .red)) }
        lines += [queue, throughput, ""]
        lines += workers + queues + relays
        return lines.map(fitted)
    }

    /// Styled lines are short; the rest is cut, so that no line wraps and shifts the others.
    private func fitted(_ line: String) -> String {
        guard let width = screen.terminal.width, !line.contains("\u{1B}") else { return line }
        return CellWidth.cut(line, to: width)
    }

    private func integer(_ key: String) -> Int { status[key]?.int ?? 0 }
    private func count(_ state: String) -> Int { status["counts"]?[state]?.int ?? 0 }

    private var title: String {
        let name = screen.terminal.styled("maild", .bold)
        let version = Printable.text(status["version"]?.string ?? "")
        let state = problem == nil ? screen.state(status["state"]?.string ?? "?") : screen.state("failed")
        let paused = status["paused"]?.bool == true ? ", \(screen.terminal.styled("paused", .yellow))" : ""
        let age = screen.age(of: status["started_at"]?.string).map { ", up \(Measure.text(seconds: $0))" } ?? ""
        return problem == nil ? "\(name) \(version), \(state)\(paused)\(age)" : "\(name) does not answer"
    }

    private var queue: String {
        let oldest = status["oldest_ready_seconds"]?.double ?? 0
        let age = count("ready") > 0 ? " (oldest \(Measure.text(seconds: oldest)))" : ""
        return "Queue   \(count("ready")) ready\(age), \(count("scheduled")) scheduled, \(count("held")) held, "
            + "\(count("failed")) failed, \(Measure.text(bytes: integer("spool_bytes")))"
    }

    private var throughput: String {
        "Rate    \(rates.text("accepted_total")) accepted, \(rates.text("delivered_total")) delivered, "
            + "\(rates.text("failed_total")) failed"
    }

    // MARK: Workers

    private var workers: [String] {
        let workers = status["worker_list"]?.array ?? []
        let busy = workers.filter { $0["state"]?.string == "running" }
            .sorted { ($0["seconds"]?.double ?? 0) > ($1["seconds"]?.double ?? 0) }
        let head = "Workers \(busy.count) of \(integer("workers")) running"
        guard !busy.isEmpty else { return [head, ""] }
        var table = Table(
            [.init("WORKER", .right), .init("FOR", .right), .init("JOB"), .init("KIND")],
            lineWidth: screen.terminal.width)
        for worker in busy {
            table.add([
                worker["number"]?.int.map(String.init) ?? "?",
                worker["seconds"]?.double.map { Measure.text(seconds: $0) } ?? "", worker["job"]?.string ?? "",
                worker["kind"]?.string ?? "",
            ])
        }
        return [head, screen.terminal.styled(table.heading(), .bold)] + table.takeRows() + [""]
    }

    // MARK: Queues and relays

    private var queues: [String] {
        guard var table = QueueListing.table(status, width: screen.terminal.width) else { return [] }
        return [screen.terminal.styled(table.heading(), .bold)] + table.takeRows() + [""]
    }

    private var relays: [String] {
        let relays = status["relays"]?.array ?? []
        guard !relays.isEmpty else { return [] }
        var table = Table(
            [.init("RELAY"), .init("BREAKER"), .init("OPEN", .right), .init("WAITING", .right), .init("CAUSE")],
            lineWidth: screen.terminal.width)
        for relay in relays {
            table.add([
                relay["name"]?.string ?? "?", relay["breaker"]?.string ?? "?",
                relay["connections"]?.int.map(String.init) ?? "", relay["waiting"]?.int.map(String.init) ?? "",
                relay["cause"]?.string ?? "",
            ])
        }
        return [screen.terminal.styled(table.heading(), .bold)] + table.takeRows()
    }
}
