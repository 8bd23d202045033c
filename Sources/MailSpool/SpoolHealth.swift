// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Whether the spool takes jobs, and why not. Delivery goes on in any case but the last.
package struct SpoolHealth: Equatable, Sendable {
    /// Why jobs are refused.
    package enum Refusal: Equatable, Sendable {
        /// The last commit failed; the next one that succeeds ends it.
        case unwritable
        /// The disk is nearly full; room ends it.
        case lowOnSpace
        /// The file is damaged beyond single rows; nothing ends it.
        case damaged
    }

    package var refusal: Refusal?
    /// What the file system had left when it was last asked; nil where it was not.
    package var freeBytes: Int?
    /// Jobs whose rows are damaged.
    package var damagedJobs = 0

    package init() {}

    package var isWritable: Bool { refusal != .unwritable && refusal != .damaged }

    /// A few words for people, where there is something to say.
    package var complaint: String? {
        switch refusal {
        case nil: nil
        case .unwritable: "the spool cannot be written"
        case .lowOnSpace: "the disk is nearly full"
        case .damaged: "the spool is damaged"
        }
    }
}

/// Looks whether there is enough room on disk, no more often than it must. A value: whoever has it measures.
package struct SpaceWatch {
    package private(set) var isLow = false
    package private(set) var freeBytes: Int?
    private var lookAt = -Double.infinity

    /// While jobs come: in between they can bring one commit's worth of bytes or two.
    static let lookSeconds = 1.0
    /// While they are refused and nobody asks.
    static let lowLookSeconds = 5.0

    package init() {}

    package func isDue(_ now: Double) -> Bool { now >= lookAt }

    /// - Parameters:
    ///   - free: nil where it is not known.
    ///   - least: 0: however little there is.
    package mutating func note(free: Int?, least: Int, now: Double) {
        freeBytes = free
        lookAt = now + Self.lookSeconds
        guard let free, least > 0 else { return isLow = false }
        // An eighth more to begin again, or a single job would end it and the next bring it back.
        isLow = free < (isLow ? least + least / 8 : least)
    }

    /// A commit has failed: what was measured before says nothing any more.
    mutating func forget() { lookAt = -Double.infinity }
}
