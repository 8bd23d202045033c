// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Systemd

/// What happens to the daemon as a whole.
extension Events {
    /// There will be no daemon: `message` says what is wrong, and there are no metrics yet to tell of it.
    package static func startFailed(_ message: String, in journal: Journal) {
        journal.write(.error) { line in
            line.message(message)
            line.identify(EventID.startFailed)
        }
    }

    /// The configuration is read.
    package func started(version: String) {
        self.version = version
        metrics.daemon.started(version: version, at: clock.now())
        journal.write(.notice) { line in
            line.message("maild ")
            line.add(version)
            line.add(" starts")
            line.identify(EventID.started)
            line.field("VERSION", version)
        }
    }

    /// Sockets are served and workers run; `seconds` since the start.
    package func ready(seconds: Double) {
        journal.write(.notice) { line in
            line.message("ready")
            line.identify(EventID.ready)
            line.field("SECONDS", seconds: seconds)
        }
    }

    /// The number of workers that are wanted was changed; `from` is 0 at the start.
    package func scaled(from: Int, to: Int) {
        metrics.workers.show(count: to)
        journal.write(.notice) { line in
            line.message("workers: ")
            line.add(to)
            line.identify(EventID.scaled)
            line.field("WORKERS", to)
            line.field("WORKERS_BEFORE", from)
        }
        watchers.tell {
            var event = WatchedEvent(.scaled, at: clock.now())
            event.workers = to
            return event
        }
    }

    /// The claiming of jobs was stopped (true) or resumed.
    /// - Parameters:
    ///   - queue: nil where all of them are meant.
    ///   - number: the queue's in the spool.
    package func paused(_ paused: Bool, queue: String? = nil, number: UInt16? = nil) {
        watchers.tell {
            var event = WatchedEvent(paused ? .paused : .resumed, at: clock.now())
            (event.queue, event.detail) = (number, queue)
            return event
        }
        journal.write(.notice) { line in
            if let queue {
                line.message("queue ")
                line.add(queue)
                line.add(": ")
            } else {
                line.message("")
            }
            line.add(paused ? "paused: no job is begun until it is resumed" : "resumed")
            line.identify(paused ? EventID.paused : EventID.resumed)
            if let queue { line.field("QUEUE", queue) }
        }
    }

    /// The configuration was read again: the keys that took effect, or why none did.
    package func reloaded(changed: [String], error: String?) {
        metrics.daemon.reloaded(at: clock.now(), succeeded: error == nil)
        guard let error else {
            journal.write(.notice) { line in
                line.message(changed.isEmpty ? "configuration read again: nothing changed" : "configuration changed")
                line.identify(EventID.reloaded)
                if !changed.isEmpty { line.field("KEYS", changed.joined(separator: " ")) }
            }
            watchers.tell { WatchedEvent(.reloaded, at: clock.now()) }
            return
        }
        journal.write(.error) { line in
            line.message("configuration not changed: ")
            line.add(error)
            line.identify(EventID.reloadFailed)
        }
    }

    /// `signal` is the signal's name, or what else asked for the end.
    package func stopping(signal: String) {
        journal.write(.notice) { line in
            line.message("stopping: ")
            line.add(signal)
            line.identify(EventID.stopping)
            line.field("SIGNAL", signal)
        }
    }

    /// All workers are idle; `givenBack` jobs went back to the spool unfinished.
    package func drained(seconds: Double, givenBack: Int) {
        journal.write(.notice) { line in
            line.message("drained; jobs given back to the spool: ")
            line.add(givenBack)
            line.identify(EventID.drained)
            line.field("SECONDS", seconds: seconds)
            line.field("GIVEN_BACK", givenBack)
        }
    }
}
