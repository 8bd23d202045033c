// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What large lines may hold in memory over all connections.
///
/// A value without I/O. A line that outgrows `Limits.smallLineBytesMax` needs a share, and is given one as long as the
/// longest line at once: shares that grew bit by bit could all be stuck halfway. Who finds no room waits in turn.
package struct ReadingBudget {
    private let bytesMax: Int
    private let shareMax: Int
    private var taken = 0
    private var waiting: [ObjectIdentifier] = []

    package init(bytesMax: Int, lineBytesMax: Int) {
        // One line must always fit, or nobody would ever be served.
        self.bytesMax = max(bytesMax, lineBytesMax)
        shareMax = lineBytesMax
    }

    /// Returns the share in bytes, or nil: then the one who asked waits, and is named by `release` in its turn.
    package mutating func take(for conversation: ObjectIdentifier) -> Int? {
        guard waiting.isEmpty || waiting.first == conversation, taken + shareMax <= bytesMax else {
            if !waiting.contains(conversation) { waiting.append(conversation) }
            return nil
        }
        if waiting.first == conversation { waiting.removeFirst() }
        taken += shareMax
        return shareMax
    }

    package var isUnused: Bool { taken == 0 && waiting.isEmpty }

    /// Gives bytes back. Returns who should ask again.
    package mutating func release(_ bytes: Int) -> ObjectIdentifier? {
        taken -= bytes
        return next
    }

    /// Who should ask, because it is its turn and there is room.
    package var next: ObjectIdentifier? { taken + shareMax <= bytesMax ? waiting.first : nil }

    /// The connection is gone. Returns who should ask again.
    package mutating func forget(_ conversation: ObjectIdentifier, holding bytes: Int) -> ObjectIdentifier? {
        waiting.removeAll { $0 == conversation }
        return release(bytes)
    }
}
