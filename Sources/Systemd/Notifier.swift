// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CSystemd
import Glibc

/// Tells systemd how the service fares (sd_notify(3)). Does nothing where `NOTIFY_SOCKET` is not set.
package struct Notifier: Sendable {
    package init() {}

    /// There is somebody to tell.
    package var isHeard: Bool { getenv("NOTIFY_SOCKET") != nil }

    /// The daemon serves; after `reloading` it serves again.
    package func ready(status: String? = nil) { send(["READY=1"] + Self.status(status)) }

    /// One line for `systemctl status`.
    package func status(_ text: String) { send(Self.status(text)) }

    package func watchdog() { send(["WATCHDOG=1"]) }

    package func stopping(status: String? = nil) { send(["STOPPING=1"] + Self.status(status)) }

    /// To be followed by `ready`. systemd 253's `Type=notify-reload` compares the time with that of its request.
    package func reloading() {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let microseconds = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
        send(["RELOADING=1", "MONOTONIC_USEC=\(microseconds)"])
    }

    /// Start, stop or reload may take so long from now on; to be said again before that has passed.
    package func extendTimeout(seconds: Double, status: String? = nil) {
        let microseconds = UInt64(min(max(0, seconds), 1e9) * 1e6)
        send(["EXTEND_TIMEOUT_USEC=\(microseconds)"] + Self.status(status))
    }

    private static func status(_ text: String?) -> [String] {
        guard let text else { return [] }
        // A newline would begin another assignment.
        return ["STATUS=" + String(text.map { $0.isNewline ? " " : $0 })]
    }

    private func send(_ assignments: [String]) {
        // The result tells nothing that could be acted upon: without its notices systemd ends us by its time-outs.
        _ = sd_notify(0, assignments.joined(separator: "\n"))
    }
}
