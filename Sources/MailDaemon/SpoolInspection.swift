// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import MailSpool

/// `maild --check-spool`: looks at a spool that no daemon has open, and says what it finds.
package struct SpoolInspection {
    private let path: String

    package init(path: String) { self.path = path }

    /// Whether nothing is wrong. Throws where it cannot be looked at.
    package func run() throws(DaemonFailure) -> Bool {
        let report: SpoolCheckReport
        do throws(SpoolError) {
            report = try SpoolChecker.check(path: path, isFull: true) { _ in true }
        } catch {
            throw .spool(error)
        }
        say("\(path): \(report.jobs) jobs, \(report.finished) finished ones, \(report.keys) idempotency keys")
        if report.unsummed > 0 { say("\(report.unsummed) jobs have no checksum: an older maild took them") }
        for row in report.damaged { say("\(row.id) is damaged: \(row.reason)") }
        for problem in report.problems { say(problem) }
        if report.isClean { say("nothing is wrong") }
        return report.isClean
    }

    private func say(_ text: String) {
        let line = text + "\n"
        _ = write(STDOUT_FILENO, line, line.utf8.count)
    }
}
