// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import MailWire
import Testing

@Suite("Check")
struct CheckTests {
    @Test("tells each step in its order, and what the relay offers")
    func good() async throws {
        let desk = try await Desk()
        var report = CheckReport(relay: "main", transport: "smtp", address: "mx.example:25")
        report.peer = "192.0.2.1:25"
        report.tls = "TLSv1.3"
        report.extensions = ["PIPELINING", "SIZE 1000"]
        report.findings = [
            CheckReport.Finding(step: .connect, isOK: true, text: "192.0.2.1:25"),
            CheckReport.Finding(step: .login, isOK: false, text: "535 5.7.8 no"),
        ]
        desk.checks.withLock { [report] in $0["main"] = report }
        let reply = try #require(desk.caller().control("Check", ["relay": "main"])?.parameters)
        #expect(
            reply == [
                "name": "main", "transport": "smtp", "address": "mx.example:25", "peer": "192.0.2.1:25", "ok": false,
                "tls": "TLSv1.3", "extensions": ["PIPELINING", "SIZE 1000"],
                "findings": [
                    ["step": "connect", "ok": true, "text": "192.0.2.1:25"],
                    ["step": "login", "ok": false, "text": "535 5.7.8 no"],
                ],
            ])
        try await desk.close()
    }

    @Test("a relay that is not in the configuration is an error of its own, a missing name one of the parameter")
    func unknown() async throws {
        let desk = try await Desk()
        let caller = try desk.caller()
        let reply = try #require(caller.control("Check", ["relay": "other"]))
        #expect(reply.error == "io.maild.Control.NoSuchRelay" && reply.parameters == ["relay": "other"])
        #expect(caller.control("Check")?.error == "org.varlink.service.InvalidParameter")
        try await desk.close()
    }
}
