// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailJob
import MailTransport

/// Everything an operator may decide, as docs/configuration.md lists it; every default of a bound is MailJob's.
///
/// All times are seconds. A value that was parsed is complete and possible: whoever holds one need not check again.
package struct Configuration: Equatable, Sendable {
    /// A domain name, as RFC 5321 §4.1.1.1 wants it in EHLO.
    package var hostname: String
    package var workers = Limits.workersDefault
    package var logLevel = LogLevel.info
    /// False: the log has only the domain of an address.
    package var logAddresses = true
    /// Name of the relay that takes what no route takes; nil where the file does not say.
    package var defaultRelay: String?
    package var drainSecondsMax = Double(Limits.drainSecondsMax)
    package var sockets: Sockets
    package var spool: Spool
    package var limits = IntakeLimits()
    package var retry = Retry()
    package var metrics = Metrics()
    package var maildir: Maildir
    package var dns = ResolverSettings()
    /// Refresh tokens that were given to us in place of the configured ones. No key changes it.
    package var oauthDirectory: String
    /// In the order of their names.
    package var relays: [RelaySettings] = []
    /// In the order of the file.
    package var routes: [RouteSettings] = []
    /// In the order of their names.
    package var queues: [QueueSettings] = []
    /// In the order of their names.
    package var apps: [App] = []
    package var bounces = BounceRule()
    /// In the order of the file.
    package var dkim: [DKIMSettings] = []
    /// nil: there is no such kind of job.
    package var webhook: WebhookSettings?
    package var exec: ExecSettings?
    package var noop: NoopSettings?

    /// The defaults; `stateDirectory` holds every path where it is given.
    package init(hostname: String, stateDirectory: String? = nil) {
        self.hostname = hostname
        sockets = Sockets(directory: stateDirectory ?? "/run/maild")
        spool = Spool(directory: stateDirectory ?? "/var/lib/maild")
        maildir = Maildir(directory: stateDirectory ?? "/var/lib/maild")
        oauthDirectory = (stateDirectory ?? "/var/lib/maild") + "/oauth"
    }
}

extension Configuration {
    package struct Sockets: Equatable, Sendable {
        package var submit: String
        package var control: String
        /// nil: none is opened.
        package var metrics: HostPort? = HostPort(host: "127.0.0.1", port: 9825)

        init(directory: String) {
            submit = directory + "/submit.sock"
            control = directory + "/control.sock"
        }
    }

    package struct Spool: Equatable, Sendable {
        package var path: String
        package var jobsMax = Limits.spoolJobsMax
        package var bytesMax = Limits.spoolBytesMax
        package var historySeconds = Double(Limits.historySeconds)
        package var historyJobsMax = Limits.historyJobsMax
        /// Of a PostgreSQL that many nodes share; nil: the jobs are in a file of this node's own.
        package var database: String?
        /// Where the tables stand in it.
        package var schema = "maild"
        /// This node's name; empty: the machine's.
        package var node = ""

        init(directory: String) { path = directory + "/spool.db" }
    }

    /// Bounds of the submission socket.
    package struct IntakeLimits: Equatable, Sendable {
        package var lineBytesMax = Limits.lineBytesMax
        package var readingBytesMax = Limits.readingBytesMax
        package var connectionsMax = Limits.connectionsMax
        package var connectionsPerUserMax = Limits.connectionsPerUserMax
        package var unansweredLinesMax = Limits.unansweredLinesMax
        package var lineSecondsMax = Double(Limits.lineSecondsMax)
        package var recipientsMax = Limits.recipientsMax
    }

    package struct Retry: Equatable, Sendable {
        /// A first retry within the minute: most failures of a first attempt are over by then.
        package var firstSeconds = 30.0
        package var waitSecondsMax = 3600.0
        package var expirySeconds = Double(Limits.expirySeconds)
    }

    package struct Metrics: Equatable, Sendable {
        package var workerLabel = true
    }

    package struct Maildir: Equatable, Sendable {
        package var path: String

        init(directory: String) { path = directory + "/maildir" }
    }

    package enum LogLevel: String, CaseIterable, Sendable {
        case error, warning, notice, info, debug

        /// syslog's number: 3 (error) to 7 (debug).
        package var priority: Int {
            switch self {
            case .error: 3
            case .warning: 4
            case .notice: 5
            case .info: 6
            case .debug: 7
            }
        }
    }
}
