// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The doctor's findings, each with what to do below it, and how many there were at the end.
struct FindingPage {
    private let findings: [Finding]

    init(_ findings: [Finding]) { self.findings = findings }

    func show(on screen: inout Screen) throws(Failure) {
        for finding in findings {
            let word = screen.terminal.styled(finding.verdict.rawValue, Self.style(finding.verdict))
            let blank = String(repeating: " ", count: 9 - finding.verdict.rawValue.count)
            try screen.line(word + blank + Printable.text("\(finding.subject): \(finding.message)"))
            if let advice = finding.advice { try screen.line("         -> " + Printable.text(advice)) }
        }
        let problems = findings.count { $0.verdict == .problem }
        let warnings = findings.count { $0.verdict == .warning }
        try screen.line("\(Self.counted(problems, "problem")), \(Self.counted(warnings, "warning"))")
    }

    private static func counted(_ count: Int, _ noun: String) -> String {
        count == 1 ? "1 \(noun)" : "\(count == 0 ? "no" : "\(count)") \(noun)s"
    }

    private static func style(_ verdict: Finding.Verdict) -> Terminal.Style {
        switch verdict {
        case .ok: .green
        case .warning: .yellow
        case .problem: .red
        }
    }
}
