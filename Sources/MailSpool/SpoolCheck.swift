// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What a check of a whole spool came to.
package struct SpoolCheckReport: Equatable, Sendable {
    /// Jobs that are not finished; each was read and judged.
    package var jobs = 0
    /// Of these, jobs that the first format kept without a checksum.
    package var unsummed = 0
    package var finished = 0
    package var keys = 0
    /// Jobs with damaged rows, those that were on record before included.
    package var damaged: [DamagedRow] = []
    /// What is wrong with the file, its tally or its keys, in SQLite's words or ours; at most `problemsMax`.
    package var problems: [String] = []
    /// The tally and the rows disagree: the next start counts anew.
    package var isMiscounted = false

    package init() {}

    package static let problemsMax = 100

    package var isClean: Bool { damaged.isEmpty && problems.isEmpty }

    mutating func complain(_ problem: String) {
        if problems.count < Self.problemsMax { problems.append(problem) }
    }
}

/// How far a check has come.
package struct SpoolCheckProgress: Equatable, Sendable {
    package enum Stage: String, Sendable {
        case structure, jobs, keys
    }

    package var stage = Stage.structure
    /// Jobs read, and how many there are by the tally.
    package var done = 0
    package var total = 0

    package init() {}
}
