// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Why the spool did not do what it was asked. The caller decides by the case; `message` is for people.
package enum SpoolError: Error, Equatable, Sendable {
    /// The configured number of jobs or bytes is reached.
    case full(message: String)
    /// The submitting user has as much waiting as it may.
    case quota(message: String)
    /// The idempotency key was used for another submission.
    case conflict(message: String)
    /// The disk refuses writes. What was asked for did not happen.
    case unwritable(message: String)
    /// The disk is full, or nearly so. What was asked for did not happen; something smaller might.
    case outOfSpace(message: String)
    /// The file is damaged, or is none of ours.
    case corrupt(message: String)
    /// The file was written by a later maild.
    case tooNew(message: String)
    /// Anything else: our bug, or the library's.
    case failed(message: String)

    package var message: String {
        switch self {
        case .full(let message), .quota(let message), .conflict(let message), .unwritable(let message),
            .outOfSpace(let message), .corrupt(let message), .tooNew(let message), .failed(let message):
            message
        }
    }
}
