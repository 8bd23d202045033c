// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Signals are blocked in every thread and waited for by the main one: no handler, no race.
enum Signals {
    private static func handled() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&set, signal) }
        return set
    }

    static func block() {
        var set = handled()
        pthread_sigmask(SIG_BLOCK, &set, nil)
        // A peer that hangs up is an error of its own write, not the daemon's end.
        signal(SIGPIPE, SIG_IGN)
    }

    /// The next of SIGTERM, SIGINT and SIGHUP.
    static func wait() -> CInt {
        var set = handled()
        var signal: CInt = 0
        while sigwait(&set, &signal) != 0 {}
        return signal
    }

    /// As if somebody had sent SIGHUP: the main thread reads the configuration.
    static func askForReload() { kill(getpid(), SIGHUP) }
}

enum OpenFiles {
    /// Enough for all connections and then some; more only costs time where descriptors are closed one by one.
    private static let wanted: rlim_t = 65_536

    /// systemd leaves the soft limit at 1,024 for programs that use select(2); we do not.
    static func raiseLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = max(limit.rlim_cur, min(limit.rlim_max, wanted))
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
