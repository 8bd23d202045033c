// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTelemetry
import Synchronization
import Systemd

/// Keeps the lines of the log.
final class CapturingSink: JournalSink {
    struct Line: Equatable, Sendable {
        var priority: Priority
        var message: String
        /// Without the message and the catalog's id; names without the prefix; several values with commas between them.
        var fields: [String: String]
    }

    private let kept = Mutex<[Line]>([])
    private let ids = Mutex<[String]>([])

    func write(_ records: UnsafeRawBufferPointer) {
        JournalRecord.forEach(records) { record in
            var fields = Dictionary(record.fields.map { ($0.name, $0.value) }) { "\($0),\($1)" }
            let message = fields.removeValue(forKey: "MESSAGE") ?? ""
            let id = fields.removeValue(forKey: "MESSAGE_ID")
            kept.withLock { $0.append(Line(priority: record.priority, message: message, fields: fields)) }
            if let id { ids.withLock { $0.append(id) } }
        }
    }

    var lines: [Line] { kept.withLock { $0 } }
    var messageIDs: [String] { ids.withLock { $0 } }
}

/// A clock that moves when it is told.
final class HandClock: Clock {
    private let milliseconds = Mutex<Int64>(1_800_000_000_000)

    func now() -> WallTime { WallTime(milliseconds: milliseconds.withLock { $0 }) }
    func monotonic() -> Double { Double(milliseconds.withLock { $0 }) / 1000 }
    func advance(seconds: Double) { milliseconds.withLock { $0 += Int64(seconds * 1000) } }
}

/// Gauges that a test sets.
final class HandGauges: GaugeSource {
    private let kept: Mutex<Gauges>

    init(_ gauges: Gauges = Gauges()) { kept = Mutex(gauges) }

    /// How many times the gauges were asked for.
    private let count = Mutex(0)

    var asked: Int { count.withLock { $0 } }

    func gauges() -> Gauges {
        count.withLock { $0 += 1 }
        return kept.withLock { $0 }
    }

    func change(_ body: (inout Gauges) -> Void) { kept.withLock { body(&$0) } }
}

/// Events with all that they feed.
struct Stage {
    let sink = CapturingSink()
    let clock = HandClock()
    let gauges = HandGauges()
    let events: Events

    init(kinds: [String] = ["email"], level: Priority = .debug, workerLabel: Bool = true) {
        let journal = Journal(sink, fieldPrefix: "", level: level)
        events = Events(kinds: kinds, journal: journal, workerLabel: workerLabel, clock: clock)
    }

    var lines: [CapturingSink.Line] {
        events.journal.flush()
        return sink.lines
    }

    /// The exposition's samples by name and labels as they are written.
    var samples: [String: Double] {
        var samples: [String: Double] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " ") else { continue }
            let value = Double(line[line.index(after: space)...])
            precondition(samples[String(line[..<space])] == nil, "a sample came twice: \(line)")
            samples[String(line[..<space])] = value
        }
        return samples
    }

    var text: String {
        let answer = MetricsRoutes(events: events, gauges: gauges).answer(.GET, "/metrics")
        return String(decoding: answer.body, as: UTF8.self)
    }
}
