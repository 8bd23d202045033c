// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// How a run of a program ended.
package struct ProgramEnd: Equatable, Sendable {
    package enum Cause: Equatable, Sendable {
        case exited(Int)
        case killed(signal: Int)
        /// It was still there when its time was up, and was ended by us.
        case outOfTime(seconds: Double)
        /// It was ended by us because maild stops.
        case stopped
        /// It never began; the system's words.
        case unstarted(String)
    }

    package var cause: Cause
    /// What it wrote, as `KeptText` has it.
    package var output: String

    package init(_ cause: Cause, output: String = "") {
        self.cause = cause
        self.output = output
    }

    /// nil: nothing was tried, for no fault of the job's.
    package var verdict: Verdict? {
        switch cause {
        case .exited(0): return .delivered(Reply(0, "", said(or: "exited with 0")))
        // sysexits(3): EX_TEMPFAIL, "the user is invited to retry".
        case .exited(75): return .deferred(Reply(75, "", said(or: "exited with 75")))
        case .exited(let code): return .rejected(Reply(code, "", said(or: "exited with \(code)")))
        // Whoever killed it (the kernel for want of memory, an operator, we when time was up) says nothing of the job.
        case .killed(let signal): return .deferred(Reply(0, "", said(after: "killed by signal \(signal)")))
        case .outOfTime(let seconds):
            return .deferred(Reply(0, "", said(after: "not done within \(plain(seconds)) s, and killed")))
        case .stopped, .unstarted: return nil
        }
    }

    private func said(or words: String) -> String { output.isEmpty ? words : output }

    private func said(after words: String) -> String { output.isEmpty ? words : "\(words): \(output)" }
}
