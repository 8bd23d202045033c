// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// One line of a job's history, as the spool keeps it and `mailctl show` prints it.
package enum HistoryRecord: Equatable, Sendable {
    case attempt(AttemptRecord)
    case note(NoteRecord)

    /// Reads a history as it was written; a line that is none of ours is passed over.
    package static func parse(_ history: [UInt8]) -> [HistoryRecord] {
        history.split(separator: UInt8(ascii: "\n")).compactMap { line in
            guard let json = try? JSONValue(parsing: line) else { return nil }
            return AttemptRecord(json).map { .attempt($0) } ?? NoteRecord(json).map { .note($0) }
        }
    }

    package var attempt: AttemptRecord? { if case .attempt(let attempt) = self { attempt } else { nil } }
    package var note: NoteRecord? { if case .note(let note) = self { note } else { nil } }
}

/// What happened to a job beside its attempts: an operator's verb, the daemon's death, a report to the sender.
///
///     {"at":1763900000123,"event":"held","by":1000}
///     {"at":1763900000123,"event":"reported","report":"0SAMK5Z5C008E"}
///     {"at":1763900000123,"event":"reports","failed":"0SAMK5Z4W008E"}
package struct NoteRecord: Equatable, Sendable {
    package var at: WallTime
    /// `held`, `released`, `retried`, `cancelled`, `crashed`, `imported`, `reported` or, of the report itself,
    /// `reports`.
    package var event: String
    /// The operator's user.
    package var by: UInt32?
    /// The job that tells the sender of a failure.
    package var report: String?
    /// The job of whose failure this one tells.
    package var failed: String?

    package init(
        at: WallTime, event: String, by: UInt32? = nil, report: String? = nil, failed: String? = nil
    ) {
        self.at = at
        self.event = event
        self.by = by
        self.report = report
        self.failed = failed
    }

    init?(_ json: JSONValue) {
        guard let at = json["at"]?.int, let event = json["event"]?.string else { return nil }
        self.init(
            at: WallTime(milliseconds: Int64(at)), event: event, by: json["by"]?.int.flatMap { UInt32(exactly: $0) },
            report: json["report"]?.string, failed: json["failed"]?.string)
    }

    /// With its newline.
    package var line: [UInt8] {
        var line: [UInt8] = []
        line.put("{\"at\":")
        line.putJSON(at.milliseconds)
        line.put(",\"event\":")
        line.putJSON(event)
        if let by {
            line.put(",\"by\":")
            line.putJSON(by)
        }
        if let report {
            line.put(",\"report\":")
            line.putJSON(report)
        }
        if let failed {
            line.put(",\"failed\":")
            line.putJSON(failed)
        }
        line.put("}\n")
        return line
    }
}
