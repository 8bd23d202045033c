// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The numbers that the page draws, as JSON. Made for the page: names may change with it. Scripts read /metrics.
struct StatusDocument {
    let events: Events
    let gauges: Gauges

    var json: String {
        let totals = events.totals
        return Self.object([
            ("version", Self.string(events.version)),
            ("at", Self.number(Double(events.clock.now().milliseconds) / 1000)),
            ("ready", "\(gauges.ready)"), ("healthy", "\(gauges.healthy)"), ("paused", "\(gauges.paused)"),
            ("workers", workers), ("jobs", Self.object(Self.members(gauges.jobs))),
            ("oldest_ready_seconds", Self.number(gauges.oldestReadySeconds)),
            ("accepted", "\(totals.accepted)"), ("rejected", "\(totals.rejected)"),
            ("attempts", "\(totals.attempts)"), ("attempt_seconds", Self.number(totals.attemptSeconds)),
            ("delivered", "\(totals.delivered)"), ("gone_failed", "\(totals.failed)"),
            ("spool_bytes", "\(gauges.spoolBytes)"), ("clients", "\(gauges.clientConnections)"),
            ("queues", "[\(queues.joined(separator: ","))]"),
            ("relays", "[\(relays.joined(separator: ","))]"),
            ("failures", "[\(failures.joined(separator: ","))]"),
        ])
    }

    private var workers: String {
        Self.object([
            ("target", "\(gauges.workersTarget)"), ("idle", "\(gauges.workersIdle)"),
            ("busy", "\(gauges.workersBusy)"),
        ])
    }

    private static func members(_ jobs: Gauges.Jobs) -> [(name: String, value: String)] {
        [
            ("ready", "\(jobs.ready)"), ("running", "\(jobs.running)"), ("scheduled", "\(jobs.scheduled)"),
            ("held", "\(jobs.held)"), ("failed", "\(jobs.failed)"),
        ]
    }

    /// `default` first, then by name.
    private var queues: [String] {
        let queues = events.metrics.queues.byLabel(gauges.queues)
        return queues.sorted { ($0.key == "default" ? "" : $0.key) < ($1.key == "default" ? "" : $1.key) }.map {
            name, queue in
            Self.object(
                [("name", Self.string(name))] + Self.members(queue.total) + [
                    ("oldest_ready_seconds", Self.number(queue.oldestReadySeconds)), ("paused", "\(queue.isPaused)"),
                ])
        }
    }

    private var relays: [String] {
        gauges.relays.map { relay in
            Self.object([
                ("name", Self.string(relay.name)), ("connections", "\(relay.connections)"), ("idle", "\(relay.idle)"),
                ("away", "\(relay.isOpen)"), ("waiting", "\(relay.waiting)"),
                ("spared", relay.concurrencyMax.map(Self.number) ?? "null"),
            ])
        }
    }

    private var failures: [String] {
        events.failures.latest.map { failure in
            Self.object([
                ("at", Self.number(Double(failure.at.milliseconds) / 1000)),
                ("job", Self.string("\(failure.job)")), ("type", Self.string(failure.kind)),
                ("relay", Self.string(failure.relay)), ("code", "\(failure.code)"),
                ("enhanced", Self.string(failure.enhanced)),
            ])
        }
    }

    private static func object(_ members: [(name: String, value: String)]) -> String {
        "{" + members.map { "\"\($0.name)\":\($0.value)" }.joined(separator: ",") + "}"
    }

    /// JSON has no infinity and no NaN.
    private static func number(_ value: Double) -> String { value.isFinite ? "\(value)" : "null" }

    /// RFC 8259 §7: quotation mark, backslash and control characters are escaped.
    private static func string(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\u{0}"..<" ":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
