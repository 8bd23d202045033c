// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// What maild says to one line (docs/protocol.md § Answers).
package enum Answer: Equatable {
    case taken(job: String, state: String, ref: String?)
    /// To a line that waits for its outcome.
    case settled(Outcome)
    case refused(Refusal)

    package struct Outcome: Equatable {
        package struct Recipient: Equatable {
            package let address: String
            package let verdict: String
            /// `550 5.1.1 no such user`
            package let reply: String
        }

        package let job: String
        package let state: String
        package let ref: String?
        package let recipients: [Recipient]

        /// As of `mailctl wait`; 75 where maild stops before the outcome is known.
        package var status: Sysexit {
            switch state {
            case "delivered": .done
            case "failed": .rejectedRecipient
            case "expired": .notReached
            case "cancelled": .cancelled
            default: .tryAgain
            }
        }
    }

    package struct Refusal: Equatable {
        package let name: String
        package let message: String
        package let status: Sysexit
        /// Seconds.
        package let retryAfter: Int?

        package init(name: String, message: String, status: Sysexit, retryAfter: Int?) {
            self.name = name
            self.message = message
            self.status = status
            self.retryAfter = retryAfter
        }

        /// `invalid_job: to: "a@" has no domain`
        package var text: String {
            let advice = retryAfter.map { " (try again in \(Measure.text(seconds: Double($0))))" } ?? ""
            return Printable.text("\(name): \(message)") + advice
        }
    }

    package init(parsing line: [UInt8]) throws(Failure) {
        guard let answer = try? JSONValue(parsing: line) else {
            throw .strangeAnswer("not JSON: \(CellWidth.cut(String(decoding: line, as: UTF8.self), to: 80))")
        }
        if let name = answer["error"]?.string {
            self = .refused(Self.refusal(name, answer))
        } else if let job = answer["job"]?.string, let state = answer["state"]?.string {
            let ref = answer["ref"]?.string
            if let recipients = answer["recipients"]?.array {
                self = .settled(
                    Outcome(job: job, state: state, ref: ref, recipients: recipients.map(Self.recipient)))
            } else {
                self = .taken(job: job, state: state, ref: ref)
            }
        } else {
            throw .strangeAnswer("neither a job nor an error: \(CellWidth.cut(answer.text, to: 80))")
        }
    }

    private static func recipient(_ fate: JSONValue) -> Outcome.Recipient {
        let code = fate["code"]?.int.flatMap { $0 == 0 ? nil : "\($0)" }
        let words = [code, fate["enhanced"]?.string, fate["text"]?.string].compactMap { $0 }.filter { !$0.isEmpty }
        return Outcome.Recipient(
            address: fate["to"]?.string ?? "?", verdict: fate["verdict"]?.string ?? "?",
            reply: words.joined(separator: " "))
    }

    private static func refusal(_ name: String, _ answer: JSONValue) -> Refusal {
        let known = WireErrorName(rawValue: name)
        let retryable = answer["retryable"]?.bool ?? known?.retryable ?? false
        let status = known.flatMap { Sysexit(rawValue: $0.exitCode) } ?? .badData
        return Refusal(
            name: name, message: answer["message"]?.string ?? "no reason given",
            status: retryable ? .tryAgain : status, retryAfter: answer["retry_after"]?.int)
    }

    /// `0G2Q5X7J1C0A4 ready order-17`, without the ref where there is none; nil for an error. Where the outcome is
    /// known a line follows for each recipient: `    rejected   b@example.com  550 5.1.1 no such user`.
    package var text: String? {
        switch self {
        case .refused: return nil
        case .taken(let job, let state, let ref): return Self.line(job, state, ref)
        case .settled(let outcome):
            let fates = outcome.recipients.map { fate in
                let verdict = fate.verdict.padding(to: 9)
                return "    " + Printable.text("\(verdict)  \(fate.address)  \(fate.reply)")
            }
            return ([Self.line(outcome.job, outcome.state, outcome.ref)] + fates).joined(separator: "\n")
        }
    }

    private static func line(_ job: String, _ state: String, _ ref: String?) -> String {
        Printable.text(([job, state] + (ref.map { [$0] } ?? [])).joined(separator: " "))
    }
}

extension String {
    fileprivate func padding(to count: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, count - self.count))
    }
}

extension Failure {
    static func strangeAnswer(_ what: String) -> Failure {
        Failure(.protocolError, "maild's answer is \(Printable.text(what)) (is it maild that listens there?)")
    }
}
