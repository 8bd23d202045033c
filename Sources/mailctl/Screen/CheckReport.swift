// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire

/// `mailctl check-spool`: what was looked at, and what is wrong.
struct CheckReport {
    private let report: JSONValue

    init(_ report: JSONValue) { self.report = report }

    var isClean: Bool { problems.isEmpty && damaged.isEmpty }

    private var problems: [String] { (report["problems"]?.array ?? []).compactMap(\.string) }
    private var damaged: [JSONValue] { report["damaged"]?.array ?? [] }

    func show(on screen: inout Screen) throws(Failure) {
        let count = { (key: String) in report[key]?.int ?? 0 }
        try screen.line("\(count("jobs")) jobs, \(count("finished")) finished ones, \(count("keys")) idempotency keys")
        if count("unsummed") > 0 {
            try screen.line("\(count("unsummed")) jobs have no checksum: an older maild took them")
        }
        for job in damaged {
            let id = screen.terminal.styled(Printable.text(job["id"]?.string ?? "?"), .red)
            try screen.line("\(id) is damaged: \(Printable.text(job["reason"]?.string ?? "?"))")
        }
        for problem in problems { try screen.line(screen.terminal.styled(Printable.text(problem), .red)) }
        if report["miscounted"]?.bool == true { try screen.line("the next start counts all jobs anew") }
        if isClean { try screen.line("nothing is wrong") }
    }
}
