// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// The rows of `mailctl list`, page by page under one heading.
struct JobListing {
    private let isJSON: Bool
    private var screen = Screen()
    private var table: Table
    private var hasHeading = false

    /// What the columns before FROM take, and the gaps behind it.
    private static let widthBefore = 44

    init(isJSON: Bool) {
        self.isJSON = isJSON
        // FROM, TO and LAST REPLY share a terminal's line; 28 is wide enough for nearly all addresses.
        let third = screen.terminal.width.map { ($0 - Self.widthBefore) / 3 } ?? .max
        let addressWidth = min(28, max(10, third))
        table = Table(
            [
                .init("ID"), .init("STATE"), .init("AGE", .right), .init("TRIES", .right),
                .init("FROM", widthMax: addressWidth), .init("TO", widthMax: addressWidth),
                .init("LAST REPLY"),
            ],
            lineWidth: screen.terminal.width)
    }

    mutating func show(_ jobs: [JSONValue]) throws(Failure) {
        if isJSON {
            for job in jobs { try screen.record(job) }
        } else if !jobs.isEmpty {
            for job in jobs { table.add(row(job)) }
            if hasHeading {
                for line in table.takeRows() { try screen.line(line) }
            } else {
                try screen.table(&table)
                hasHeading = true
            }
        }
        try screen.flush()
    }

    /// `next`: the id from which more follow.
    func finish(next: String?) throws(Failure) {
        guard !isJSON else { return }
        if !hasHeading { StandardError.write("no jobs\n") }
        if let next { StandardError.write("more follow: --after \(Printable.text(next)), or --all\n") }
    }

    private func row(_ job: JSONValue) -> [String] {
        [
            job["id"]?.string ?? "?",
            job["state"]?.string ?? "?",
            screen.age(of: job["accepted_at"]?.string).map { Measure.text(seconds: $0) } ?? "",
            job["attempts"]?.int.map(String.init) ?? "",
            job["from"]?.string ?? Self.otherKind(job),
            Self.recipients(job["to"]?.array ?? []),
            job["last_reply"]?.string ?? "",
        ]
    }

    /// Other kinds have no sender: what they are says more than a blank.
    private static func otherKind(_ job: JSONValue) -> String {
        guard let kind = job["kind"]?.string, kind != "email" else { return "" }
        return "(\(kind))"
    }

    private static func recipients(_ to: [JSONValue]) -> String {
        let first = to.first?.string ?? ""
        return to.count > 1 ? "\(first) +\(to.count - 1)" : first
    }
}
