// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Where one recipient of a job stands.
package enum Fate: UInt8, Sendable {
    case open = 0
    case delivered = 1
    case rejected = 2

    package var name: String {
        switch self {
        case .open: "open"
        case .delivered: "delivered"
        case .rejected: "rejected"
        }
    }

    package init?(name: String) {
        guard let fate = [Fate.open, .delivered, .rejected].first(where: { $0.name == name }) else { return nil }
        self = fate
    }

    /// After an attempt. What may have arrived is sent again: at least once is the promise.
    package init(_ verdict: Verdict) {
        switch verdict {
        case .delivered: self = .delivered
        case .rejected: self = .rejected
        case .deferred, .unknown: self = .open
        }
    }
}
