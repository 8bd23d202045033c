// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// How much a line of the log matters, numbered as syslog and the journal do (the lower, the worse).
///
/// `error`: something is lost or an operator must act. `warning`: it went wrong and maild has dealt with it.
/// `notice`: unusual, or seldom and worth knowing. `info`: the ordinary life of a job. `debug`: for maild's own makers.
package enum Priority: UInt8, CaseIterable, Comparable, Sendable {
    case error = 3
    case warning = 4
    case notice = 5
    case info = 6
    case debug = 7

    package var name: String {
        switch self {
        case .error: "error"
        case .warning: "warning"
        case .notice: "notice"
        case .info: "info"
        case .debug: "debug"
        }
    }

    package init?(name: some StringProtocol) {
        guard let priority = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = priority
    }

    /// `a < b` reads "a is more pressing than b".
    package static func < (left: Priority, right: Priority) -> Bool { left.rawValue < right.rawValue }
}
