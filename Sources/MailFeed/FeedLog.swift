// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Systemd

/// What a feed says in the journal. Callable from any thread.
package final class FeedLog: Sendable {
    package let journal: Journal
    private let feed: String
    private let subject: String

    package init(feed: String, subject: String, level: Priority) {
        self.feed = feed
        self.subject = subject
        journal = Journal(identifier: "maild-feed", fieldPrefix: "MAILD_", level: level)
    }

    package func started(version: String) { write(.notice, "maild-feed \(version) feeds from \(subject)") }
    func connected() { write(.notice, "connected to \(subject)") }

    func disconnected(_ reason: String, wasConnected: Bool) {
        write(.warning, wasConnected ? "lost \(subject): \(reason)" : "cannot connect to \(subject): \(reason)")
    }

    func linked() { write(.info, "connected to maild") }
    func linkLost(_ reason: String) { write(.warning, "lost maild: \(reason)") }
    func noLink(_ reason: String) { write(.warning, "cannot connect to maild: \(reason)") }
    func watchLost(_ reason: String) { write(.warning, "cannot watch how jobs end: \(reason)") }
    package func warn(_ message: String) { write(.warning, message) }

    func paused(_ error: String, seconds: Double) {
        write(.warning, "maild says \(error): waits for \((seconds * 10).rounded() / 10) s")
    }

    func rejected(_ letter: DeadLetter) {
        journal.write(.warning) { line in
            line.message("to the dead letters: ")
            line.add(letter.identity)
            line.add(": ")
            line.add(letter.error)
            line.add(": ")
            line.add(letter.message)
            line.field("FEED", feed)
            line.field("ERROR", letter.error)
            line.field("SOURCE", letter.identity)
        }
    }

    package func stopping(_ signal: String) { write(.notice, "stops on \(signal)") }
    package func stopped() { write(.notice, "has stopped") }

    private func write(_ priority: Priority, _ message: String) {
        journal.write(priority) { line in
            line.message(message)
            line.field("FEED", feed)
        }
    }
}
