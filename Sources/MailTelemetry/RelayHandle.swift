// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition

/// A relay's own counters, looked up once by `Events.relayHandle`.
package final class RelayHandle: Sendable {
    package let name: String
    let connections: Gauge
    let unreachable: Counter
    let breakerOpen: Gauge
    let waiting: Gauge
    let throttled: Gauge
    /// Had, and not had.
    let tokens: [Counter]
    /// Without TLS, with TLS.
    private let sessions: [Counter]
    /// By stage, then by class.
    private let replies: [[Counter]]
    /// For the log only: a relay that is down is tried again and again.
    let unreachableLines = Throttle()
    let tokenLines = Throttle()

    /// RFC 5321 §4.2.1: the first digit says it all. 1yz is not used by SMTP.
    static let classes = ["2xx", "3xx", "4xx", "5xx", "other"]

    init(
        name: String, connections: Gauge, breakerOpen: Gauge, waiting: Gauge, throttled: Gauge, unreachable: Counter,
        tokens: [Counter], sessions: [Counter], replies: [[Counter]]
    ) {
        self.name = name
        self.breakerOpen = breakerOpen
        self.waiting = waiting
        self.throttled = throttled
        self.connections = connections
        self.unreachable = unreachable
        self.tokens = tokens
        self.sessions = sessions
        self.replies = replies
    }

    func show(_ gauges: Gauges.Relay) {
        connections.set(gauges.connections)
        breakerOpen.set(gauges.isOpen)
        waiting.set(gauges.waiting)
        throttled.set(gauges.concurrencyMax ?? 0)
    }

    func connected(tls: Bool) { sessions[tls ? 1 : 0].add() }

    func replied(_ stage: ReplyStage, code: Int) {
        let index = (200..<600).contains(code) ? code / 100 - 2 : 4
        replies[stage.rawValue][index].add()
    }
}
