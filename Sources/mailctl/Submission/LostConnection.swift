// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// maild closed the connection before all lines had their answers: which lines it knows of, and which not.
package struct LostConnection {
    /// Lines without an answer, oldest first.
    package let waiting: ArraySlice<LineCutter.Line>
    package let sentBytes: Int
    /// There are lines after those in `waiting`.
    package let isInputLeft: Bool
    package let isSingle: Bool
    /// For so long it was tried to connect again.
    package let soughtSeconds: Double?

    package init(
        waiting: ArraySlice<LineCutter.Line>, sentBytes: Int, isInputLeft: Bool, isSingle: Bool,
        soughtSeconds: Double? = nil
    ) {
        self.waiting = waiting
        self.sentBytes = sentBytes
        self.isInputLeft = isInputLeft
        self.isSingle = isSingle
        self.soughtSeconds = soughtSeconds
    }

    package var failure: Failure {
        let what = isSingle ? [single] : [answered, sent, unsent].compactMap { $0 }
        let sought = soughtSeconds.map { " and gave no answer for \(Measure.text(seconds: $0)) after that" } ?? ""
        return Failure(.tryAgain, "maild closed the connection\(sought): \(what.joined(separator: "; "))")
    }

    /// Only a line that left as a whole can have become a job.
    private func wasSent(_ line: LineCutter.Line) -> Bool { line.end.map { $0 <= sentBytes } ?? false }

    private var single: String {
        let mayBeTaken = waiting.contains(where: wasSent)
        return mayBeTaken
            ? "the job was sent and not answered: it may have been taken" : "the job was not taken, send it again"
    }

    private var answered: String? {
        guard let first = waiting.first else { return "all lines sent so far were answered" }
        return first.number == 1 ? "no line was answered" : "the lines before line \(first.number) were answered"
    }

    private var sent: String? {
        let sent = waiting.filter(wasSent)
        guard let first = sent.first, let last = sent.last else { return nil }
        return first.number == last.number
            ? "line \(first.number) was sent and not answered: it may have been taken"
            : "lines \(first.number) to \(last.number) were sent and not answered: they may have been taken"
    }

    private var unsent: String? {
        if let first = waiting.first(where: { !wasSent($0) }) {
            return "line \(first.number) and what follows was not taken, send it again"
        }
        guard isInputLeft else { return nil }
        return waiting.last.map { "what follows line \($0.number) was not sent" } ?? "what follows was not sent"
    }
}
