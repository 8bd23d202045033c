// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What came of the lines so far.
package struct Tally: Equatable {
    package private(set) var taken = 0
    package private(set) var refused = 0
    /// The first error, or bad end, decides the exit status.
    package private(set) var status = Sysexit.done

    package init() {}

    package mutating func count(_ answer: Answer) {
        switch answer {
        case .taken: taken += 1
        case .settled(let outcome):
            taken += 1
            if status == .done { status = outcome.status }
        case .refused(let refusal):
            refused += 1
            if status == .done { status = refusal.status }
        }
    }

    /// `1000 taken, 2 refused in 500ms (2004/s)`.
    package func text(seconds: Double) -> String {
        let rate = seconds > 0 ? Int(Double(taken + refused) / seconds) : 0
        let refusals = refused == 0 ? "" : ", \(refused) refused"
        return "\(taken) taken\(refusals) in \(Measure.text(seconds: seconds)) (\(rate)/s)"
    }
}
