// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// The queues of a status, a line each.
enum QueueListing {
    /// Nil where there is one queue alone: the line of the whole has told all of it.
    static func table(_ status: JSONValue, width: Int?) -> Table? {
        let queues = status["queues"]?.array ?? []
        guard queues.count > 1 else { return nil }
        var table = Table(
            [.init("QUEUE")] + ["WEIGHT", "WAITING", "OLDEST", "RUNNING", "HELD", "FAILED"].map { .init($0, .right) }
                + [.init("")],
            lineWidth: width)
        for queue in queues { table.add(row(queue)) }
        return table
    }

    private static func row(_ queue: JSONValue) -> [String] {
        let oldest = queue["oldest_ready_seconds"]?.double ?? 0
        let limit = queue["concurrency_max"]?.int.map { " of \($0)" } ?? ""
        return [
            queue["name"]?.string ?? "?", queue["weight"]?.double.map { plain($0) } ?? "",
            "\(queue["waiting"]?.int ?? 0)", oldest > 0 ? Measure.text(seconds: oldest) : "",
            "\(queue["running"]?.int ?? 0)\(limit)", "\(queue["held"]?.int ?? 0)", "\(queue["failed"]?.int ?? 0)",
            queue["paused"]?.bool == true ? "paused" : "",
        ]
    }

    private static func plain(_ number: Double) -> String {
        Int(exactly: number).map { String($0) } ?? String(number)
    }
}
