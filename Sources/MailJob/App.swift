// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// An application as the configuration knows it: which users it is, and what they may.
package struct App: Equatable, Sendable {
    /// Letters, digits, `-`, `_` and `.`; a metric's label.
    package var name: String
    package var users: Set<UInt32> = []
    package var groups: Set<UInt32> = []
    /// Of its mail, in the envelope and in From; nil: any, empty: none.
    package var senders: [SenderPattern]?
    /// Where a job names no queue of its own.
    package var queue: String?
    /// The highest that its jobs may ask for.
    package var priorityMax = Limits.priorityMax
    package var quota = Quota()

    package init(name: String) { self.name = name }

    /// The name of whoever is none of the configured apps.
    package static let otherName = "other"
    package static let other = App(name: otherName)
}

/// What each user of an app may have; nil: as much as there is room for.
package struct Quota: Equatable, Sendable {
    /// Jobs that wait: ready, scheduled or held.
    package var jobsMax: Int?
    /// Lengths of the lines of all its jobs that are not finished, dead letters included.
    package var bytesMax: Int?
    package var jobsPerMinute: Int?

    package init() {}

    package var boundsSpool: Bool { jobsMax != nil || bytesMax != nil }
}
