// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Systemd

/// What a feed says in the journal, each kind of event with its id in the catalog. Callable from any thread.
package final class FeedLog: Sendable {
    package let journal: Journal
    private let feed: String
    private let subject: String

    package init(feed: String, subject: String, level: Priority) {
        self.feed = feed
        self.subject = subject
        journal = Journal(identifier: "maild-feed", fieldPrefix: "MAILD_", level: level)
    }

    package func started(version: String) {
        write(.notice, FeedEventID.started, "maild-feed \(version) feeds from \(subject)", ("VERSION", version))
    }

    package func stopping(_ signal: String) { write(.notice, FeedEventID.stopping, "stops on \(signal)") }
    package func stopped() { write(.notice, FeedEventID.stopped, "has stopped") }

    // MARK: The broker

    func connected() { write(.notice, FeedEventID.connected, "connected to \(subject)") }

    func disconnected(_ reason: String, wasConnected: Bool) {
        let text = wasConnected ? "lost \(subject): \(reason)" : "cannot connect to \(subject): \(reason)"
        write(.warning, FeedEventID.disconnected, text, ("REASON", reason))
    }

    func rejected(_ letter: DeadLetter) {
        journal.write(.warning) { line in
            line.message("to the dead letters: ")
            line.add(letter.identity)
            line.add(": ")
            line.add(letter.error)
            line.add(": ")
            line.add(letter.message)
            line.identify(FeedEventID.rejected)
            line.field("FEED", feed)
            line.field("ERROR", letter.error)
            line.field("SOURCE", letter.identity)
        }
    }

    /// Something that the feed deals with and an operator should know.
    package func warn(_ message: String) { write(.warning, FeedEventID.trouble, message) }

    // MARK: maild

    func linked() { write(.info, FeedEventID.linked, "connected to maild") }

    func linkLost(_ reason: String, wasLinked: Bool) {
        let text = wasLinked ? "lost maild: \(reason)" : "cannot connect to maild: \(reason)"
        write(.warning, FeedEventID.linkLost, text, ("REASON", reason))
    }

    func watchLost(_ reason: String) {
        write(.warning, FeedEventID.watchLost, "cannot watch how jobs end: \(reason)", ("REASON", reason))
    }

    func paused(_ error: String, seconds: Double) {
        let text = "maild says \(error): waits for \((seconds * 10).rounded() / 10) s"
        write(.warning, FeedEventID.paused, text, ("ERROR", error))
    }

    func resumed() { write(.notice, FeedEventID.resumed, "maild takes jobs again") }

    private func write(
        _ priority: Priority, _ id: StaticString, _ message: String, _ field: (name: StaticString, value: String)? = nil
    ) {
        journal.write(priority) { line in
            line.message(message)
            line.identify(id)
            line.field("FEED", feed)
            if let field { line.field(field.name, field.value) }
        }
    }
}
