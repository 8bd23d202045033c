// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Why PostgreSQL did not do what it was asked.
package enum PostgreSQLError: Error, Equatable, Sendable {
    /// libpq is not there, or is too old.
    case library(String)
    /// There is no connection, or it was lost. What was under way may have been done, or not.
    case unavailable(String)
    /// The server said no; the transaction it stood in is undone.
    /// - Parameter state: five characters, https://www.postgresql.org/docs/15/errcodes-appendix.html
    case refused(state: String, message: String)

    package var message: String {
        switch self {
        case .library(let message), .unavailable(let message): message
        case .refused(let state, let message): "\(message) (SQLSTATE \(state))"
        }
    }

    package static let uniqueViolation = "23505"

    package func isRefusal(_ state: String) -> Bool {
        if case .refused(state, _) = self { true } else { false }
    }
}
