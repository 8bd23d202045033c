// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// What maild says to one line (docs/protocol.md § Answers).
package enum Answer: Equatable {
    case taken(job: String, state: String, ref: String?)
    case refused(Refusal)

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
            self = .taken(job: job, state: state, ref: answer["ref"]?.string)
        } else {
            throw .strangeAnswer("neither a job nor an error: \(CellWidth.cut(answer.text, to: 80))")
        }
    }

    private static func refusal(_ name: String, _ answer: JSONValue) -> Refusal {
        let known = WireErrorName(rawValue: name)
        let retryable = answer["retryable"]?.bool ?? known?.retryable ?? false
        let status = known.flatMap { Sysexit(rawValue: $0.exitCode) } ?? .badData
        return Refusal(
            name: name, message: answer["message"]?.string ?? "no reason given",
            status: retryable ? .tryAgain : status, retryAfter: answer["retry_after"]?.int)
    }

    /// `0G2Q5X7J1C0A4 ready order-17`, without the ref where there is none; nil for an error.
    package var text: String? {
        guard case .taken(let job, let state, let ref) = self else { return nil }
        return Printable.text(([job, state] + (ref.map { [$0] } ?? [])).joined(separator: " "))
    }
}

extension Failure {
    static func strangeAnswer(_ what: String) -> Failure {
        Failure(.protocolError, "maild's answer is \(Printable.text(what)) (is it maild that listens there?)")
    }
}
