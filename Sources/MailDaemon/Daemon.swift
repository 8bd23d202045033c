// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailConfiguration
import MailJob
import MailSpool
import MailTelemetry
import Synchronization
import Systemd

/// Why the daemon did not start, or what it says as it leaves; `status` by sysexits(3).
package struct DaemonFailure: Error, CustomStringConvertible {
    package var status: CInt
    package var description: String

    package init(status: CInt, description: String) {
        self.status = status
        self.description = description
    }

    /// EX_CONFIG: systemd is told not to try again (RestartPreventExitStatus=78).
    static func configuration(_ error: ConfigurationError) -> DaemonFailure {
        DaemonFailure(status: 78, description: error.description)
    }

    /// EX_OSERR: a socket, thread or limit of the system.
    static func system(_ message: String) -> DaemonFailure { DaemonFailure(status: 71, description: message) }

    /// EX_IOERR: the spool cannot be opened.
    static func spool(_ error: SpoolError) -> DaemonFailure {
        let advice: String? =
            switch error {
            case .corrupt: "stop, and read \"The spool is damaged\" in docs/operations.md before anything else"
            case .outOfSpace: "make room; docs/operations.md, \"read_only\""
            default: nil
            }
        return DaemonFailure(status: 74, description: error.message + (advice.map { "; \($0)" } ?? ""))
    }
}

extension DaemonFailure {
    /// To the journal with level and catalog entry where standard error leads there, else as one plain line.
    package func tell() {
        guard JournalStream.isStandardError else {
            let text = "maild: \(description)\n"
            _ = write(STDERR_FILENO, text, text.utf8.count)
            return
        }
        let journal = Journal(identifier: "maild", fieldPrefix: "MAILD_")
        Events.startFailed(description, in: journal)
        journal.flush()
    }
}

/// The boot story, and the way down.
package struct Daemon {
    let configurationPath: String?
    let stateDirectory: String?

    package init(configurationPath: String?, stateDirectory: String?) {
        self.configurationPath = configurationPath
        self.stateDirectory = stateDirectory
    }

    /// Serves until SIGTERM or SIGINT. Returns after a clean end.
    package func run() throws(DaemonFailure) {
        let clock = SystemClock()
        let began = clock.monotonic()
        // First of all: every thread made from here on inherits the blocked signals; only the main one waits for them.
        Signals.block()
        let configuration = try load()
        try prepareStateDirectory()
        // Before anything is opened: what was inherited is at descriptors 3 and up.
        let sockets = try ListeningSockets.open(configuration.sockets)
        defer { sockets.removeOwn() }
        OpenFiles.raiseLimit()
        let house = try House(configuration, clock: clock)
        house.events.started(version: Version.text)
        try house.open(sockets)
        let reloader = Reloader(house, load: load)
        try house.serve(sockets, reloader: reloader)
        house.events.ready(seconds: clock.monotonic() - began)
        house.heartbeat.begin()
        let signal = waitForEnd(reloader)
        let failure = house.failure.withLock { $0 }
        house.end(signal: failure == nil ? signal : "the spool is damaged")
        if let failure { throw failure }
    }

    /// Mail is nobody else's to read: spool, Maildir and the directory around them are made for the owner alone.
    private func prepareStateDirectory() throws(DaemonFailure) {
        umask(0o077)
        guard let stateDirectory, mkdir(stateDirectory, 0o700) != 0, errno != EEXIST else { return }
        throw .system("cannot make \(stateDirectory): \(String(cString: strerror(errno)))")
    }

    /// Looks at a spool that no daemon has open, the configured one where `path` is nil; whether nothing is wrong.
    package func inspectSpool(path: String?) throws(DaemonFailure) -> Bool {
        if let path { return try SpoolInspection(path: path).run() }
        return try SpoolInspection(path: try load().spool.path).run()
    }

    /// Reads the configuration and nothing else.
    package func check() throws(DaemonFailure) { _ = try load() }

    private func load() throws(DaemonFailure) -> Configuration {
        do throws(ConfigurationError) {
            return try Configuration.load(path: configurationPath, stateDirectory: stateDirectory)
        } catch {
            throw .configuration(error)
        }
    }

    private func waitForEnd(_ reloader: Reloader) -> String {
        while true {
            switch Signals.wait() {
            case SIGHUP: reloader.reload()
            case SIGINT: return "SIGINT"
            default: return "SIGTERM"
            }
        }
    }
}
