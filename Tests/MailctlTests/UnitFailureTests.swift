// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Testing
import mailctl

@Suite("The mail about a failed unit") struct UnitFailureTests {
    private func failure() -> UnitFailure {
        var failure = UnitFailure(unit: "backup.service", host: "app1.example.org")
        failure.description = "Nightly backup"
        failure.result = "exit-code"
        failure.exitCode = "exited"
        failure.exitStatus = "3"
        failure.invocation = "0123456789abcdef0123456789abcdef"
        failure.lines = ["2026-11-23T12:00:00 app1 backup[1]: no space", "2026-11-23T12:00:01 app1 systemd[1]: failed"]
        return failure
    }

    @Test("the subject has machine, unit and reason")
    func subject() {
        #expect(failure().subject == "[app1.example.org] backup.service failed: exit-code (exited, 3)")
        #expect(UnitFailure(unit: "a.service", host: "h").subject == "[h] a.service failed")
    }

    @Test("no unit's name breaks the header")
    func dangerous() {
        #expect(UnitFailure(unit: "a\r\nBcc: x@y", host: "h").subject == "[h] a\\r\\nBcc: x@y failed")
    }

    @Test("the text says what, where to look, and what the journal had last")
    func text() {
        #expect(
            failure().text == """
                backup.service (Nightly backup) on app1.example.org has failed.

                Result: exit-code (exited, 3)

                Look at it:
                    systemctl status backup.service
                    journalctl -u backup.service

                The last 2 lines of its journal:

                2026-11-23T12:00:00 app1 backup[1]: no space
                2026-11-23T12:00:01 app1 systemd[1]: failed

                """)
        #expect(UnitFailure(unit: "a.service", host: "h").text.contains("The journal has no lines of it"))
    }

    @Test("the job names its recipients, and is marked as made by a program")
    func job() {
        let job = failure().job(from: "root@app1.example.org", to: ["ops@example.org"]).json
        #expect(job["to"]?.array?.compactMap(\.string) == ["ops@example.org"])
        #expect(job["headers"]?["Auto-Submitted"]?.string == "auto-generated")
        #expect(job["ref"]?.string == "unit-failed backup.service")
        let long = UnitFailure(unit: String(repeating: "ü", count: 200), host: "h").job(from: "a@b", to: ["c@d"]).json
        #expect((long["ref"]?.string?.utf8.count ?? 0) <= 256)
    }
}
