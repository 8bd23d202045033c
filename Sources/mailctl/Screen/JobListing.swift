// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// The rows of `mailctl list`, page by page under one heading.
struct JobListing {
    private let isJSON: Bool
    private var screen = Screen()
    private var table = Table([], lineWidth: nil)
    private var hasHeading = false
    /// Jobs of configured apps are among the first ones.
    private var hasApps = false

    /// What the columns before FROM take, and the gaps behind it.
    private static let widthBefore = 44

    init(isJSON: Bool) { self.isJSON = isJSON }

    private mutating func begin(_ jobs: [JSONValue]) {
        hasApps = jobs.contains { $0["app"]?.string.map { $0 != App.otherName } ?? false }
        // FROM, TO and LAST REPLY share a terminal's line; 28 is wide enough for nearly all addresses.
        let third = screen.terminal.width.map { ($0 - Self.widthBefore) / 3 } ?? .max
        let addressWidth = min(28, max(10, third))
        table = Table(
            [
                .init("ID"), .init("STATE"), .init("AGE", .right), .init("TRIES", .right),
            ] + (hasApps ? [.init("APP", widthMax: 16)] : []) + [
                .init("FROM", widthMax: addressWidth), .init("TO", widthMax: addressWidth),
                .init("LAST REPLY"),
            ],
            lineWidth: screen.terminal.width)
    }

    mutating func show(_ jobs: [JSONValue]) throws(Failure) {
        if isJSON {
            for job in jobs { try screen.record(job) }
        } else if !jobs.isEmpty {
            if !hasHeading { begin(jobs) }
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
        ] + (hasApps ? [job["app"]?.string ?? ""] : []) + [
            job["from"]?.string.map(JobPage.path) ?? Self.otherKind(job),
            Self.recipients(job["to"]?.array ?? []),
            job["damage"]?.string.map { "damaged: \($0)" } ?? job["last_reply"]?.string ?? "",
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
