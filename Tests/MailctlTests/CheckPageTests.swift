// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Testing
import mailctl

@Suite("The exit status of a check")
struct CheckPageTests {
    @Test(
        "says which step failed",
        arguments: [
            ("connect", Sysexit.unavailable), ("greeting", .unavailable), ("hello", .unavailable),
            ("tls", .protocolError), ("login", .noPermission), ("something new", .unavailable),
        ])
    func failed(step: String, status: Sysexit) {
        let findings: JSONValue = [
            ["step": "connect", "ok": true, "text": ""], ["step": .string(step), "ok": false, "text": ""],
        ]
        #expect(CheckPage.status(of: ["ok": false, "findings": findings]) == status)
    }

    @Test("is 0 where all is well, and no good news where maild says nothing")
    func ok() {
        #expect(CheckPage.status(of: ["ok": true, "findings": []]) == nil)
        #expect(CheckPage.status(of: [:]) == .unavailable)
    }
}
