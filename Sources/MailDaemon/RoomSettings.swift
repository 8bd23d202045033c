// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailDispatch
import MailIntake
import MailJob
import MailSpool
import Systemd

// The configuration in each room's own words: no room knows of the file.

extension IntakeSettings {
    /// - Parameter queues: the spool's numbers.
    init(_ configuration: Configuration, queues numbers: [String: UInt16]) {
        self.init()
        queues = numbers.filter { configuration.queueNames.contains($0.key) }
        lineBytesMax = configuration.limits.lineBytesMax
        readingBytesMax = configuration.limits.readingBytesMax
        connectionsMax = configuration.limits.connectionsMax
        connectionsPerUserMax = configuration.limits.connectionsPerUserMax
        unansweredLinesMax = configuration.limits.unansweredLinesMax
        lineSecondsMax = configuration.limits.lineSecondsMax
        recipientsMax = configuration.limits.recipientsMax
        expirySeconds = configuration.retry.expirySeconds
    }
}

extension DispatchSettings {
    /// - Parameter queues: the spool's numbers.
    init(_ configuration: Configuration, queues numbers: [String: UInt16]) {
        self.init(
            workers: configuration.workers,
            retry: RetrySchedule(
                firstSeconds: configuration.retry.firstSeconds, waitSecondsMax: configuration.retry.waitSecondsMax))
        expirySeconds = configuration.retry.expirySeconds
        queues = configuration.queueRules(numbers)
    }
}

extension SpoolLimits {
    init(_ configuration: Configuration) {
        self.init()
        jobsMax = configuration.spool.jobsMax
        bytesMax = configuration.spool.bytesMax
        historySeconds = Int(configuration.spool.historySeconds)
        historyJobsMax = configuration.spool.historyJobsMax
    }
}

extension Priority {
    init(_ level: Configuration.LogLevel) {
        self =
            switch level {
            case .error: .error
            case .warning: .warning
            case .notice: .notice
            case .info: .info
            case .debug: .debug
            }
    }
}

extension FleetLocation {
    /// Nil where this node has its jobs in a file of its own.
    init?(_ spool: Configuration.Spool) {
        guard let database = spool.database else { return nil }
        self.init(uri: database)
        schema = spool.schema
    }
}
