// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Systemd

/// What happens between maild and its relays, and its clients.
extension Events {
    package func clientConnected() {
        metrics.connections.clients.add()
        journal.write(.debug) { $0.message("client connected") }
    }

    package func clientGone() { journal.write(.debug) { $0.message("client gone") } }

    /// A connection was turned away or cut off; `reason` is an error of docs/protocol.md.
    package func clientRefused(reason: String) {
        let connections = metrics.connections
        (connections.clientsRefused[reason] ?? connections.clientsRefusedOtherwise).add()
        guard journal.isOn(.notice), let held = clientRefusedLines.pass(clock.monotonic()) else { return }
        journal.write(.notice) { line in
            line.message("client refused: ")
            line.add(reason)
            line.identify(EventID.clientRefused)
            line.field("REASON", reason)
            line.addHeld(held)
        }
    }

    /// A session is established: greeted and past EHLO.
    package func smtpConnected(relay: RelayHandle, tls: Bool) {
        relay.connected(tls: tls)
        journal.write(.debug) { line in
            line.message("connected to relay ")
            line.add(relay.name)
            line.identify(EventID.connected)
            line.field("RELAY", relay.name)
            line.field("TLS", tls ? "yes" : "no")
        }
    }

    package func smtpDisconnected(relay: RelayHandle) {
        journal.write(.debug) { line in
            line.message("disconnected from relay ")
            line.add(relay.name)
            line.identify(EventID.disconnected)
            line.field("RELAY", relay.name)
        }
    }

    package func smtpReply(relay: RelayHandle, stage: ReplyStage, code: Int) { relay.replied(stage, code: code) }

    /// No session comes about with the relay: its mail waits, and one mail tries again in `seconds`.
    package func breakerOpened(relay: RelayHandle, cause: String, seconds: Double) {
        watch(.breakerOpened, relay, cause)
        journal.write(.warning) { line in
            line.message("relay ")
            line.add(relay.name)
            line.add(" is away, its mail waits: ")
            line.add(cause)
            line.identify(EventID.breakerOpened)
            line.field("RELAY", relay.name)
            line.field("CAUSE", cause)
            line.field("SECONDS", seconds: seconds)
        }
    }

    package func breakerProbes(relay: RelayHandle) {
        watch(.breakerProbes, relay)
        journal.write(.info) { line in
            line.message("relay ")
            line.add(relay.name)
            line.add(" is tried with one mail")
            line.identify(EventID.breakerProbes)
            line.field("RELAY", relay.name)
        }
    }

    private func watch(_ name: WatchedEvent.Name, _ relay: RelayHandle, _ detail: String? = nil) {
        watchers.tell {
            var event = WatchedEvent(name, at: clock.now())
            (event.relay, event.detail) = (relay.name, detail)
            return event
        }
    }

    package func breakerClosed(relay: RelayHandle) {
        watch(.breakerClosed, relay)
        journal.write(.notice) { line in
            line.message("relay ")
            line.add(relay.name)
            line.add(" takes mail again")
            line.identify(EventID.breakerClosed)
            line.field("RELAY", relay.name)
        }
    }

    /// No session came about: refused, timed out, no such name, no greeting.
    package func relayUnreachable(relay: RelayHandle, reason: String) {
        relay.unreachable.add()
        guard journal.isOn(.warning), let held = relay.unreachableLines.pass(clock.monotonic()) else { return }
        journal.write(.warning) { line in
            line.message("relay ")
            line.add(relay.name)
            line.add(" is out of reach: ")
            line.add(reason)
            line.identify(EventID.unreachable)
            line.field("RELAY", relay.name)
            line.addHeld(held)
        }
    }
}
