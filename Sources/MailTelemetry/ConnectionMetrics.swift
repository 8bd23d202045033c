// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import Synchronization

/// The connections of clients and to relays.
final class ConnectionMetrics: Sendable {
    let clients: Counter
    private let clientsOpen: Gauge
    let clientsRefused: [String: Counter]
    let clientsRefusedOtherwise: Counter
    private let relays: RelayMetrics

    init(_ registry: Registry) {
        clientsOpen = registry.gauge("maild_client_connections", "Open connections of submitting clients.")
        clients = registry.counter("maild_clients_total", "Connections of submitting clients taken.")
        let refused = registry.counters(
            "maild_clients_refused_total", "Connections turned away or cut off.", labels: ["reason"])
        clientsRefused = Dictionary(
            uniqueKeysWithValues: ["quota_exceeded", "draining", "timeout"].map { ($0, refused.with($0)) })
        clientsRefusedOtherwise = refused.with("other")
        relays = RelayMetrics(registry)
    }

    func relay(_ name: String) -> RelayHandle { relays.handle(name) }

    func set(_ gauges: Gauges) {
        clientsOpen.set(gauges.clientConnections)
        relays.set(gauges.relays)
    }
}

/// What is counted for each relay, and the handles given out so far.
private final class RelayMetrics: Sendable {
    private let connections: Family<Gauge>
    private let breakerOpen: Family<Gauge>
    private let waiting: Family<Gauge>
    private let throttled: Family<Gauge>
    private let sessions: Family<Counter>
    private let replies: Family<Counter>
    private let unreachable: Family<Counter>
    private let tokens: Family<Counter>
    private let handles = Mutex<[String: RelayHandle]>([:])

    init(_ registry: Registry) {
        connections = registry.gauges("maild_smtp_connections", "Open connections to the relay.", labels: ["relay"])
        breakerOpen = registry.gauges(
            "maild_relay_breaker_open", "Whether no session comes about with the relay (1).", labels: ["relay"])
        waiting = registry.gauges(
            "maild_relay_waiting", "Mails in line, or put off, until the relay takes them.", labels: ["relay"])
        throttled = registry.gauges(
            "maild_relay_concurrency_max", "Mails at a time while a throttling relay is spared; 0 while none is.",
            labels: ["relay"])
        sessions = registry.counters(
            "maild_smtp_sessions_total", "SMTP sessions established.", labels: ["relay", "tls"])
        replies = registry.counters(
            "maild_smtp_replies_total", "Replies of the relay, by what they replied to.",
            labels: ["relay", "stage", "class"])
        unreachable = registry.counters(
            "maild_relay_unreachable_total", "Sessions that could not be established.", labels: ["relay"])
        tokens = registry.counters(
            "maild_relay_tokens_total", "Access tokens asked for at an OAuth 2 endpoint, by whether they were had.",
            labels: ["relay", "result"])
    }

    func handle(_ name: String) -> RelayHandle {
        handles.withLock { handles in
            if let handle = handles[name] { return handle }
            let handle = RelayHandle(
                name: name, connections: connections.with(name), breakerOpen: breakerOpen.with(name),
                waiting: waiting.with(name), throttled: throttled.with(name), unreachable: unreachable.with(name),
                tokens: ["had", "refused"].map { tokens.with(name, $0) },
                sessions: ["no", "yes"].map { sessions.with(name, $0) },
                replies: ReplyStage.allCases.map { stage in
                    RelayHandle.classes.map { replies.with(name, stage.name, $0) }
                })
            handles[name] = handle
            return handle
        }
    }

    /// A relay that is not in the list any more has no connections.
    func set(_ relays: [Gauges.Relay]) {
        let gone = handles.withLock { $0 }.filter { name, _ in !relays.contains { $0.name == name } }
        for handle in gone.values { handle.show(Gauges.Relay(name: handle.name, connections: 0)) }
        for relay in relays { handle(relay.name).show(relay) }
    }
}
