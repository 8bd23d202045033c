// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// Where a verb shows what it found: standard output as it is, and the moment it is shown.
struct Screen {
    let terminal = Terminal.standardOutput()
    let now = SystemClock().now()
    private var output = StandardOutput()

    mutating func line(_ text: String = "") throws(Failure) { try output.line(text) }

    mutating func table(_ table: inout Table) throws(Failure) {
        try line(terminal.styled(table.heading(), .bold))
        for row in table.takeRows() { try line(row) }
    }

    /// Indented on a terminal, else on one line.
    mutating func document(_ value: JSONValue) throws(Failure) {
        try line(terminal.isTerminal ? Printable.json(value.prettyText) : value.text)
    }

    /// One line wherever it goes.
    mutating func record(_ value: JSONValue) throws(Failure) {
        try line(terminal.isTerminal ? Printable.json(value.text) : value.text)
    }

    mutating func flush() throws(Failure) { try output.flush() }

    /// How long ago the RFC 3339 time `text` was; negative if it is ahead; nil if it is none.
    func age(of text: String?) -> Double? { text.flatMap { WallTime(rfc3339: $0) }.map { now.seconds(since: $0) } }

    /// `2026-11-23T12:00:00Z (3m ago)` or `(in 5m)`.
    func moment(_ text: String) -> String {
        guard let age = age(of: text) else { return Printable.text(text) }
        let distance = Measure.text(seconds: abs(age))
        return "\(Printable.text(text)) (\(age < 0 ? "in \(distance)" : "\(distance) ago"))"
    }

    func state(_ name: String) -> String {
        let style: Terminal.Style? =
            switch name {
            case "running", "delivered", "serving": .green
            case "held", "scheduled", "paused": .yellow
            case "failed", "expired": .red
            default: nil
            }
        return terminal.styled(Printable.text(name), style)
    }
}
