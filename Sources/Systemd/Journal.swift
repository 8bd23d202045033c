// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Where whole lines go. Called on the journal's own thread, one call at a time; may block.
package protocol JournalSink: Sendable {
    /// `records` are to be read with `JournalRecord.forEach`.
    func write(_ records: UnsafeRawBufferPointer)
}

/// The daemon's log: callable from any thread, never waits for the disk, the terminal or journald.
///
/// Lines are gathered in memory and written by a thread of the journal's own. Where that thread cannot keep up, new
/// lines are dropped and their number is said in the log. `flush` before exit; what is not flushed is lost.
package final class Journal: Sendable {
    /// A few hundred thousand short lines would be more than anybody reads; some seconds of a full load.
    package static let pendingBytesMax = 4 << 20

    private let threshold: Atomic<UInt8>
    private let pending: PendingLines

    /// - Parameters:
    ///   - fieldPrefix: begins the name of each field in journald; plain text leaves it out.
    ///   - pendingBytesMax: past so many unwritten bytes, lines are dropped.
    package init(
        _ sink: some JournalSink, fieldPrefix: String, level: Priority = .info,
        pendingBytesMax: Int = Journal.pendingBytesMax
    ) {
        threshold = Atomic(level.rawValue)
        pending = PendingLines(fieldPrefix: fieldPrefix, bytesMax: pendingBytesMax)
        JournalThread.start(pending, sink)
    }

    /// journald where standard error is connected to it, else plain text on standard error.
    package convenience init(identifier: String, fieldPrefix: String, level: Priority = .info) {
        if JournalStream.isStandardError {
            self.init(NativeJournal(identifier: identifier), fieldPrefix: fieldPrefix, level: level)
        } else {
            self.init(PlainText(descriptor: 2, fieldPrefix: fieldPrefix), fieldPrefix: fieldPrefix, level: level)
        }
    }

    deinit { pending.close() }

    /// Lines that matter less are not written; may be changed at any time.
    package var level: Priority {
        get { Priority(rawValue: threshold.load(ordering: .relaxed)) ?? .info }
        set { threshold.store(newValue.rawValue, ordering: .relaxed) }
    }

    package func isOn(_ priority: Priority) -> Bool { priority.rawValue <= threshold.load(ordering: .relaxed) }

    /// Lines dropped so far because the sink could not keep up.
    package var droppedTotal: Int { pending.droppedTotal }

    /// `compose` begins with `message`, runs under the journal's lock and must neither wait nor log.
    package func write(_ priority: Priority, _ compose: (inout JournalLine) -> Void) {
        guard isOn(priority) else { return }
        pending.append(priority, compose)
    }

    package func write(_ priority: Priority, _ message: String) {
        write(priority) { $0.message(message) }
    }

    /// Waits until all that was logged before is written, at most so long. False where the time was not enough.
    @discardableResult
    package func flush(secondsMax: Double = 2) -> Bool { pending.flush(secondsMax: secondsMax) }
}
