// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Systemd

/// Keeps what a journal hands over.
final class CapturingSink: JournalSink {
    struct Line: Sendable {
        var priority: Priority
        var fields: [String: String]
    }

    let lines = Mutex<[Line]>([])

    func write(_ records: UnsafeRawBufferPointer) {
        JournalRecord.forEach(records) { record in
            let fields = Dictionary(uniqueKeysWithValues: record.fields.map { ($0.name, $0.value) })
            lines.withLock { $0.append(Line(priority: record.priority, fields: fields)) }
        }
    }

    var messages: [String] { lines.withLock { $0.map { $0.fields["MESSAGE"] ?? "" } } }
}
