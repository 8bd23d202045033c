// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// Feeds as a table, and below it what is wrong with those of which something is.
struct FeedListing {
    private let feeds: [JSONValue]

    init(_ feeds: [JSONValue]) { self.feeds = feeds }

    private static let numbers = [
        "lag", "unanswered", "unsettled", "consumed", "accepted", "dead_letters", "redelivered", "outcomes",
    ]
    private static let titles = [
        "LAG", "UNANSWERED", "UNSETTLED", "CONSUMED", "ACCEPTED", "DEAD", "REDELIVERED", "OUTCOMES",
    ]

    func show(on screen: inout Screen) throws(Failure) {
        guard !feeds.isEmpty else { return }
        var table = Table(
            [.init("FEED"), .init("KIND"), .init("STATE"), .init("ACK")]
                + Self.titles.map { Table.Column($0, .right) },
            lineWidth: screen.terminal.width)
        for feed in feeds {
            let names = [name(feed), feed["kind"]?.string ?? "?", state(feed), feed["ack"]?.string ?? "?"]
            table.add(names + Self.numbers.map { feed[$0]?.int.map(String.init) ?? "" })
        }
        try screen.table(&table)
        for feed in feeds {
            guard let trouble = feed["trouble"]?.string else { continue }
            let source = feed["subject"]?.string.map { " (\(Printable.text($0)))" } ?? ""
            try screen.line("\(name(feed))\(source): \(Printable.text(trouble))")
        }
    }

    private func name(_ feed: JSONValue) -> String { Printable.text(feed["feed"]?.string ?? "?") }

    private func state(_ feed: JSONValue) -> String {
        guard let isConnected = feed["connected"]?.bool else { return "silent" }
        if !isConnected { return "no broker" }
        if feed["maild_connected"]?.bool != true { return "no maild" }
        return feed["paused"]?.string.map { "paused: \(Printable.text($0))" } ?? "connected"
    }
}
