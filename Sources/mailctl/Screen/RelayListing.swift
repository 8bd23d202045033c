// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// Relays as a table, and below it why those are away that are.
struct RelayListing {
    private let relays: [JSONValue]

    init(_ relays: [JSONValue]) { self.relays = relays }

    private static let numbers = ["connections", "idle", "waiting", "delivered", "deferred", "rejected"]
    private static let titles = ["OPEN", "IDLE", "WAITING", "DELIVERED", "DEFERRED", "REJECTED"]

    func show(on screen: inout Screen) throws(Failure) {
        guard !relays.isEmpty else { return }
        var table = Table(
            [.init("RELAY"), .init("BY"), .init("ADDRESS"), .init("BREAKER")]
                + Self.titles.map { Table.Column($0, .right) },
            lineWidth: screen.terminal.width)
        for relay in relays {
            let names = ["name", "transport", "address", "breaker"].map { relay[$0]?.string ?? "?" }
            table.add(names + Self.numbers.map { relay[$0]?.int.map(String.init) ?? "" })
        }
        try screen.table(&table)
        for relay in relays {
            if let trouble = trouble(relay, screen) { try screen.line(trouble) }
            for destination in relay["away"]?.array ?? [] { try screen.line(away(destination, of: relay, screen)) }
        }
    }

    private func away(_ destination: JSONValue, of relay: JSONValue, _ screen: Screen) -> String {
        let name = Printable.text(relay["name"]?.string ?? "?")
        let domain = Printable.text(destination["domain"]?.string ?? "?")
        let cause = Printable.text(destination["cause"]?.string ?? "?")
        let state = screen.terminal.styled("is away", .red)
        return "\(name): \(domain) \(state)\(next(destination, screen)): \(cause)"
    }

    private func next(_ one: JSONValue, _ screen: Screen) -> String {
        let age = screen.age(of: one["next_probe_at"]?.string)
        return age.map { ", next probe in \(Measure.text(seconds: -$0))" } ?? ", a probe is out"
    }

    private func trouble(_ relay: JSONValue, _ screen: Screen) -> String? {
        let name = Printable.text(relay["name"]?.string ?? "?")
        if let cause = relay["cause"]?.string {
            return "\(name) " + screen.terminal.styled("is away", .red)
                + "\(next(relay, screen)): \(Printable.text(cause))"
        }
        guard let limit = relay["concurrency_max"]?.double else { return nil }
        let mails = limit < 1 ? "a mail each \(Measure.text(seconds: 1 / limit))" : "\(Int(limit)) at a time"
        return "\(name) is spared, because it asked for it: \(mails)"
    }
}
