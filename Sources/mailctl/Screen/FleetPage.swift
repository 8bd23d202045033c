// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// `mailctl status --fleet`: the whole, and a line for each node.
struct FleetPage {
    private let fleet: JSONValue

    init(_ fleet: JSONValue) { self.fleet = fleet }

    func show(on screen: inout Screen) throws(Failure) {
        for (name, value) in [("Fleet", nodes(screen)), ("Workers", workers), ("Queue", queue(screen))] {
            try screen.line(screen.terminal.styled(name + String(repeating: " ", count: 9 - name.count), .bold) + value)
        }
        var table = Table(
            [
                .init("NODE"), .init("STATE"), .init("RENEWED", .right), .init("UP", .right), .init("WORKERS", .right),
                .init("RUNNING", .right), .init("CLAIMED", .right), .init("VERSION"), .init("METRICS"),
            ],
            lineWidth: screen.terminal.width)
        for node in fleet["nodes"]?.array ?? [] { table.add(row(node, screen)) }
        try screen.line()
        try screen.table(&table)
    }

    private func integer(_ key: String) -> Int { fleet[key]?.int ?? 0 }

    private func nodes(_ screen: Screen) -> String {
        let expired = integer("expired")
        let trouble = expired > 0 ? ", " + screen.terminal.styled("\(expired) expired", .red) : ""
        return "\(integer("live")) live\(trouble); asked: \(Printable.text(fleet["node"]?.string ?? "?"))"
    }

    private var workers: String { "\(integer("running")) of \(integer("workers")) running" }

    private func queue(_ screen: Screen) -> String {
        let failed = integer("failed")
        return "\(integer("waiting")) waiting, \(integer("held")) held, "
            + screen.terminal.styled("\(failed) failed", failed > 0 ? .red : nil)
    }

    private func row(_ node: JSONValue, _ screen: Screen) -> [String] {
        let age = { (key: String) in
            screen.age(of: node[key]?.string).map { Measure.text(seconds: max(0, $0)) } ?? ""
        }
        let isLive = node["state"]?.string == "live"
        let number = { (key: String) in node[key]?.int.map(String.init) ?? "" }
        return [
            node["name"]?.string ?? "?", node["state"]?.string ?? "?", age("renewed_at"),
            isLive ? age("started_at") : "", number("workers"), number("running"), number("claimed"),
            node["version"]?.string ?? "?", node["metrics"]?.string ?? "",
        ]
    }
}
