// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import PostgreSQL

/// Names of facts that hold for every node where a spool is shared.
package enum SharedFact {
    private static let pausedPrefix = "paused."

    package static func paused(queue: String) -> String { pausedPrefix + queue }

    static func isShared(_ name: String) -> Bool { name.hasPrefix(pausedPrefix) }

    /// Numbers and names of the queues that are paused.
    static let paused = """
        SELECT queues.number, queues.name FROM settings JOIN queues ON settings.name = '\(pausedPrefix)' || queues.name
        WHERE settings.node = \(FleetSettings.everyNode)
        """
}

/// Facts that survive a restart: this node's own, and those of the fleet, which stand under a number that no node has.
struct FleetSettings {
    let node: Int64

    static let everyNode = -1
    /// Under which the last transaction of the node's writer stands.
    static let mark = "mark"

    func read(_ link: Link) throws(SpoolError) -> [String: String] {
        let pairs = try link.run(
            """
            SELECT name, value FROM settings WHERE (node = $1::int8 OR node = \(Self.everyNode))
            AND name <> '\(Self.mark)'
            """, [.integer(node)])
        var settings: [String: String] = [:]
        for row in 0..<pairs.count { settings[pairs.text(row, 0)] = pairs.text(row, 1) }
        return settings
    }

    /// - Parameter value: nil removes it.
    func set(_ name: String, _ value: String?) -> [Query] {
        let isShared = SharedFact.isShared(name)
        let place: [Parameter] = [.integer(isShared ? Int64(Self.everyNode) : node), .text(name)]
        let told = isShared ? [Query("SELECT pg_notify('maild', '')")] : []
        guard let value else {
            return [Query("DELETE FROM settings WHERE node = $1::int8 AND name = $2", place)] + told
        }
        let put = Query(
            """
            INSERT INTO settings VALUES ($1::int8, $2, $3)
            ON CONFLICT (node, name) DO UPDATE SET value = excluded.value
            """, place + [.text(value)])
        return [put] + told
    }
}
