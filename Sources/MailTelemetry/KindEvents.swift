// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Systemd

/// What kinds of jobs see of the world they work with.
extension Events {
    /// Jobs of the kind that need `name` (a server, a program) wait; one of them tries again in so many seconds.
    package func kindAway(_ kind: String, name: String, cause: String, seconds: Double) {
        guard journal.isOn(.warning), let held = awayLines.pass(clock.monotonic()) else { return }
        journal.write(.warning) { line in
            line.message("")
            line.add(kind)
            line.add(": nothing comes about with ")
            line.add(name)
            line.add(", its jobs wait: ")
            line.add(cause)
            line.identify(EventID.kindAway)
            line.field("KIND", kind)
            line.field("CAUSE", cause)
            line.field("SECONDS", seconds: seconds)
            line.addHeld(held)
        }
    }

    package func kindBack(_ kind: String, name: String) {
        journal.write(.notice) { line in
            line.message("")
            line.add(kind)
            line.add(": ")
            line.add(name)
            line.add(" is there again")
            line.identify(EventID.kindBack)
            line.field("KIND", kind)
        }
    }
}
