// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Where a job stands. docs/job-states.md draws the arrows.
package enum JobState: UInt8, CaseIterable, Sendable {
    /// Waits for a worker.
    case ready = 0
    /// Waits for its due time: sent later on purpose, or deferred after a failed attempt.
    case scheduled = 1
    /// Set aside, by an operator or because it crashed the daemon too often.
    case held = 2
    /// A dead letter: at least one recipient will never be tried again. Kept until retried or purged.
    case failed = 3
    case delivered = 4
    case cancelled = 5
    case expired = 6
    /// In a worker's hands. Never written to disk: after a crash such a job is found as it was before.
    case running = 7

    package var name: String {
        switch self {
        case .ready: "ready"
        case .scheduled: "scheduled"
        case .held: "held"
        case .failed: "failed"
        case .delivered: "delivered"
        case .cancelled: "cancelled"
        case .expired: "expired"
        case .running: "running"
        }
    }

    package init?(name: some StringProtocol) {
        guard let state = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = state
    }

    /// Nothing will happen to the job any more; only its history is kept.
    package var isFinal: Bool { self == .delivered || self == .cancelled || self == .expired }
}
