// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import PostgreSQL

/// What a node tells the others of itself, each time that it renews its session.
package struct FleetNote: Equatable, Sendable {
    package var workers = 0
    /// Jobs in its workers' hands.
    package var running = 0
    /// Where its metrics are, `HOST:PORT`; nil where it serves none, or systemd has handed the socket over.
    package var metrics: String?

    package init(workers: Int = 0, running: Int = 0, metrics: String? = nil) {
        self.workers = workers
        self.running = running
        self.metrics = metrics
    }

    /// As it stands in `nodes.note`: `workers running metrics`.
    var text: String { "\(workers) \(running) \(metrics ?? "-")" }

    /// Nothing of what cannot be read: a later maild may write more.
    init(text: String) {
        let words = text.split(separator: " ")
        guard words.count >= 3, let workers = Int(words[0]), let running = Int(words[1]) else { return }
        (self.workers, self.running) = (workers, running)
        metrics = words[2] == "-" ? nil : String(words[2])
    }
}

package struct FleetNode: Sendable {
    package enum State: String, Sendable {
        case live
        /// Its lease has run out: it died, sleeps, or is cut off. Told for a day.
        case expired
        /// It has ended in order, or has been away for longer.
        case stopped
    }

    package var name: String
    package var state: State
    package var note: FleetNote
    package var startedAt: WallTime
    /// When its lease was last renewed, by the database's clock.
    package var renewedAt: WallTime
    package var version: String
    /// Jobs that it has claimed and not settled: at hand, or in its workers' hands.
    package var claimed: Int
}

/// All nodes that share a spool, by name.
package struct FleetReport: Sendable {
    package var nodes: [FleetNode] = []
    /// Of the tables.
    package var format = 0

    /// In `nodes.note` of one whose session was ended by others.
    static let expired = "expired"

    private static let state = """
        CASE WHEN session <> 0 AND expires > now() THEN 'live'
        WHEN (session <> 0 OR note = '\(expired)') AND expires > now() - interval '1 day' THEN 'expired'
        ELSE 'stopped' END
        """
    /// The state and note of each: what a node looks at when it renews its own session.
    static let brief = "SELECT \(state), note FROM nodes"
    private static let whole = """
        SELECT name, \(state), note, (extract(epoch FROM started) * 1000)::int8,
        (extract(epoch FROM expires) * 1000)::int8, version, coalesce(leases.jobs, 0)
        FROM nodes LEFT JOIN (SELECT lease, count(*) AS jobs FROM jobs WHERE lease <> 0 GROUP BY lease) AS leases
        ON leases.lease = nodes.session AND nodes.session <> 0 ORDER BY name
        """

    package init() {}

    init(_ link: Link) throws(SpoolError) {
        let rows = try link.run([Query(Self.whole), Query("SELECT version FROM format")])
        format = Int(rows[1].count == 1 ? rows[1].integer(0, 0) : 0)
        nodes = (0..<rows[0].count).map { Self.node(rows[0], $0) }
    }

    private static func node(_ rows: Rows, _ row: Int) -> FleetNode {
        let lease = Int64(FleetMember.leaseSeconds * 1000)
        return FleetNode(
            name: rows.text(row, 0), state: FleetNode.State(rawValue: rows.text(row, 1)) ?? .stopped,
            note: FleetNote(text: rows.text(row, 2)), startedAt: WallTime(milliseconds: rows.integer(row, 3)),
            renewedAt: WallTime(milliseconds: rows.integer(row, 4) - lease), version: rows.text(row, 5),
            claimed: Int(rows.integer(row, 6)))
    }
}

/// How the fleet stood when this node last renewed its session.
package struct FleetGauges: Equatable, Sendable {
    package var live = 0
    package var expired = 0
    /// Jobs in the hands of the workers of all that live, and these workers.
    package var running = 0
    package var workers = 0
    /// Of this node's lease.
    package var leaseSeconds = 0.0

    package init() {}

    /// - Parameter rows: of `FleetReport.brief`.
    init(_ rows: Rows) {
        for row in 0..<rows.count {
            switch FleetNode.State(rawValue: rows.text(row, 0)) {
            case .live?:
                let note = FleetNote(text: rows.text(row, 1))
                live += 1
                running += note.running
                workers += note.workers
            case .expired?: expired += 1
            default: break
            }
        }
    }
}
