// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// How one attempt at a job ended, over all its recipients; the worst of their verdicts.
package enum AttemptResult: Int, CaseIterable, Sendable {
    case delivered
    /// Some recipient is to be tried again.
    case deferred
    /// Some recipient will never be tried again.
    case failed
    /// The final reply was lost: it may have arrived.
    case unknown

    package var name: String {
        switch self {
        case .delivered: "delivered"
        case .deferred: "deferred"
        case .failed: "failed"
        case .unknown: "unknown"
        }
    }
}
