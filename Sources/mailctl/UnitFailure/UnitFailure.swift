// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// A unit that failed, as far as is known of it; from it the e-mail is made.
package struct UnitFailure: Equatable {
    package var unit: String
    package var host: String
    package var description = ""
    /// systemd.exec(5), `$SERVICE_RESULT`: `exit-code`, `signal`, `timeout`, `oom-kill`, `watchdog`, …
    package var result = ""
    /// `$EXIT_CODE`: `exited`, `killed` or `dumped`; and `$EXIT_STATUS`, a number or a signal's name.
    package var exitCode = ""
    package var exitStatus = ""
    /// Of the run that failed; empty where it is not known.
    package var invocation = ""
    /// The last lines of the journal, oldest first.
    package var lines: [String] = []

    package init(unit: String, host: String) {
        self.unit = unit
        self.host = host
    }

    /// `[app1] backup.service failed: exit-code (exited, 3)`
    package var subject: String { Printable.text("[\(host)] \(unit) failed\(cause.isEmpty ? "" : ": \(cause)")") }

    private var cause: String {
        let exit = [exitCode, exitStatus].filter { !$0.isEmpty }.joined(separator: ", ")
        return [result, exit.isEmpty ? "" : "(\(exit))"].filter { !$0.isEmpty }.joined(separator: " ")
    }

    package var text: String {
        var parts = [
            "\(unit)\(description.isEmpty || description == unit ? "" : " (\(description))") on \(host) has failed."
        ]
        if !cause.isEmpty { parts.append("Result: \(cause)") }
        parts.append(
            """
            Look at it:
                systemctl status \(unit)
                journalctl -u \(unit)
            """)
        parts.append(
            lines.isEmpty
                ? "The journal has no lines of it, or they may not be read (group systemd-journal)."
                : "The last \(lines.count) lines of its journal:\n\n" + lines.joined(separator: "\n"))
        return parts.joined(separator: "\n\n") + "\n"
    }

    package func job(from: String, to: [String]) -> JobDraft {
        var draft = JobDraft()
        draft.texts = [
            ("from", from), ("subject", subject), ("content", text), ("ref", Self.cut("unit-failed \(unit)", to: 256)),
        ]
        draft.lists = [("to", to)]
        // RFC 3834 §5: so that nobody's vacation program answers.
        draft.headerFields = ["Auto-Submitted: auto-generated"]
        return draft
    }

    /// Bytes of UTF-8, whole characters.
    private static func cut(_ text: String, to bytesMax: Int) -> String {
        var text = text
        while text.utf8.count > bytesMax { text.removeLast() }
        return text
    }
}
