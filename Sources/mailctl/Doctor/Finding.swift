// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// One thing that the doctor looked at.
package struct Finding: Equatable {
    package enum Verdict: String, Sendable {
        case ok
        /// Works, and somebody should know.
        case warning
        /// Mail is not taken or not delivered, or will not be.
        case problem
    }

    package var verdict: Verdict
    /// What was looked at: a unit, a socket, a relay.
    package var subject: String
    package var message: String
    /// What to do about it; nil where nothing needs to be done.
    package var advice: String?
    /// Of the program, where this is the first problem.
    package var status: Sysexit

    package static func ok(_ subject: String, _ message: String) -> Finding {
        Finding(verdict: .ok, subject: subject, message: message, advice: nil, status: .done)
    }

    package static func warning(_ subject: String, _ message: String, _ advice: String) -> Finding {
        Finding(verdict: .warning, subject: subject, message: message, advice: advice, status: .done)
    }

    package static func problem(
        _ subject: String, _ message: String, _ advice: String, _ status: Sysexit = .unavailable
    ) -> Finding {
        Finding(verdict: .problem, subject: subject, message: message, advice: advice, status: status)
    }

    var json: JSONValue {
        var object: JSONObject = [
            "verdict": .string(verdict.rawValue), "subject": .string(subject), "message": .string(message),
        ]
        if let advice { object["advice"] = .string(advice) }
        return .object(object)
    }
}

extension [Finding] {
    /// The first problem's; 0 where there is none.
    package var status: Sysexit { first { $0.verdict == .problem }?.status ?? .done }
}
