// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Systemd

/// What happens to the tokens that relays are logged in to with. No secret comes here.
extension Events {
    package func tokenFetched(relay: RelayHandle, seconds: Double) {
        relay.tokens[0].add()
        journal.write(.debug) { line in
            line.message("relay ")
            line.add(relay.name)
            line.add(" has a new access token")
            line.identify(EventID.tokenFetched)
            line.field("RELAY", relay.name)
            line.field("SECONDS", seconds: seconds)
        }
    }

    /// While an older token is still good, this is the only sign of the trouble that is coming.
    package func tokenRefused(relay: RelayHandle, reason: String) {
        relay.tokens[1].add()
        guard let held = relay.tokenLines.pass(clock.monotonic()) else { return }
        journal.write(.warning) { line in
            line.message("relay ")
            line.add(relay.name)
            line.add(" has no new access token: ")
            line.add(reason)
            line.identify(EventID.tokenRefused)
            line.field("RELAY", relay.name)
            line.addHeld(held)
        }
    }

    package func refreshTokenNotKept(relay: RelayHandle, reason: String) {
        journal.write(.error) { line in
            line.message("relay ")
            line.add(relay.name)
            line.add(" has a new refresh token, which a restart would lose: ")
            line.add(reason)
            line.identify(EventID.refreshTokenNotKept)
            line.field("RELAY", relay.name)
        }
    }
}
