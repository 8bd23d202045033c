// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// sysexits.h, as far as mailctl uses it.
package enum Sysexit: Int32, Sendable {
    case done = 0
    case usage = 64
    case badData = 65
    case noInput = 66
    /// EX_NOUSER: a job failed.
    case rejectedRecipient = 67
    /// EX_NOHOST: a job expired.
    case notReached = 68
    case unavailable = 69
    case software = 70
    /// EX_CANTCREAT: a job was cancelled or purged.
    case cancelled = 73
    case inputOutput = 74
    case tryAgain = 75
    case protocolError = 76
    case noPermission = 77
    case configuration = 78

    package func endProgram() -> Never { exit(rawValue) }
}

/// The end of the program: what is said on standard error, and the exit status.
package struct Failure: Error, Equatable {
    package let status: Sysexit
    /// Without `mailctl:` in front and without a newline; nil where everything has been said.
    package let message: String?

    package init(_ status: Sysexit, _ message: String?) {
        self.status = status
        self.message = message
    }

    /// Who reads our output has seen enough, as in `mailctl list | head`.
    package static let closedOutput = Failure(.done, nil)

    /// `what` and the system's reason for `code` (an errno).
    package static func system(_ status: Sysexit, _ what: String, _ code: Int32) -> Failure {
        Failure(status, "\(what): \(SystemReason.text(code))")
    }
}
