// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Testing
import mailctl

@Suite("What the doctor makes of what he sees") struct DoctorTests {
    private static let healthy = [
        "Id": "maild.service", "LoadState": "loaded", "ActiveState": "active", "SubState": "running",
        "UnitFileState": "enabled", "Result": "success", "ExecMainStatus": "0", "NRestarts": "0",
        "StatusText": "8 workers, 0 running, 0 ready, 0 failed",
    ]

    private func judge(_ changes: [String: String]) -> [Finding] {
        UnitHealth.judge(UnitState(Self.healthy.merging(changes) { $1 }))
    }

    @Test("a service that runs is told with its own words")
    func healthyService() {
        #expect(judge([:]) == [.ok("maild.service", "active: 8 workers, 0 running, 0 ready, 0 failed")])
    }

    @Test(
        "each trouble of the service has its verdict, its status and an advice that fits",
        arguments: [
            (
                ["ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "78"], Sysexit.configuration,
                "--check-config"
            ),
            (["ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "74"], .unavailable, "spool"),
            (["ActiveState": "failed", "Result": "signal", "ExecMainStatus": "9"], .unavailable, "journalctl"),
            (
                ["ActiveState": "activating", "SubState": "auto-restart", "Result": "core-dump"], .unavailable,
                "journalctl"
            ),
            (["ActiveState": "inactive"], .unavailable, "systemctl enable --now maild.service"),
            (["LoadState": "masked"], .unavailable, "unmask"),
        ])
    func serviceTrouble(changes: [String: String], status: Sysexit, advice: String) {
        let findings = judge(changes)
        #expect(findings.count == 1 && findings.first?.verdict == .problem)
        #expect(findings.status == status)
        #expect(findings.first?.advice?.contains(advice) == true)
    }

    @Test("what runs and will not after a boot, or had to be started again, is a warning beside")
    func warnings() {
        #expect(judge(["UnitFileState": "disabled"]).map(\.verdict) == [.ok, .warning])
        let restarted = judge(["NRestarts": "3"])
        #expect(restarted.map(\.verdict) == [.ok, .warning])
        #expect(restarted.last?.message == "systemd had to start it again 3 times")
        #expect(judge(["LoadState": "not-found"]).map(\.verdict) == [.warning])
    }

    @Test("a socket that is away is a problem, but for that of the metrics")
    func sockets() {
        let away = ["ActiveState": "failed", "Result": "resources", "NRestarts": ""]
        #expect(judge(away.merging(["Id": "maild.socket"]) { $1 }).map(\.verdict) == [.problem])
        #expect(judge(away.merging(["Id": "maild-metrics.socket"]) { $1 }).first?.verdict == .warning)
    }

    @Test("systemctl's output is one state a unit")
    func parsing() {
        let states = UnitState.parse("Id=a.service\nStatusText=x=y\n\nId=b.socket\n")
        #expect(states.map { $0["Id"] } == ["a.service", "b.socket"])
        #expect(states.first?["StatusText"] == "x=y")
        #expect(UnitState.parse("").isEmpty)
    }

    @Test("a socket tells who may open it, and warns where that is everybody")
    func rights() {
        let tight = SocketHealth.judge(.submit, "s", .init(group: "maild", mode: 0o660), connection: nil)
        #expect(tight == [.ok("s", "takes connections; for the group maild")])
        let open = SocketHealth.judge(.submit, "s", .init(group: "maild", mode: 0o666), connection: nil)
        #expect(open.map(\.verdict) == [.ok, .warning])
        let refused = SocketHealth.judge(
            .control, "c", .init(group: "maild-admin", mode: 0o660), connection: Failure(.noPermission, "no"))
        #expect(refused.status == .noPermission)
        #expect(refused.first?.advice?.contains("maild-admin") == true)
    }

    private func queue(_ members: JSONObject) -> [Finding] {
        var status: JSONObject = [
            "version": .string("0.1.0"), "paused": .bool(false),
            "counts": ["ready": 0, "scheduled": 0, "running": 0, "held": 0, "failed": 0],
        ]
        for (key, value) in members { status[key] = value }
        return QueueHealth.judge(.object(status)).filter { $0.verdict != .ok }
    }

    @Test("a queue that does not move is told, with the reason where one is known")
    func queues() {
        #expect(queue([:]).isEmpty)
        #expect(queue(["paused": .bool(true)]).map(\.advice) == ["mailctl resume"])
        #expect(queue(["oldest_ready_seconds": .number(601)]).map(\.verdict) == [.warning])
        #expect(queue(["oldest_ready_seconds": .number(599)]).isEmpty)
        #expect(queue(["counts": ["failed": 2, "held": 1]]).map(\.message) == ["2 failed", "1 held"])
        #expect(queue(["version": .string("9.9.9")]).map(\.subject) == ["versions"])
    }

    @Test("a relay whose breaker is open is a problem with its cause; no relay at all is a warning")
    func relays() {
        let relay: JSONValue = ["name": "hub", "transport": "smtp", "address": "192.0.2.1:25", "breaker": "closed"]
        #expect(queue(["relays": [relay]]).isEmpty)
        let open: JSONValue = ["name": "hub", "transport": "smtp", "breaker": "open", "cause": "refused", "waiting": 3]
        #expect(queue(["relays": [open]]).map(\.message) == ["is away, 3 mails wait: refused"])
        #expect(queue(["relays": [["name": "maildir", "transport": "maildir"]]]).map(\.verdict) == [.warning])
    }

    @Test("the answer of a relay's check names the step that failed")
    func checks() {
        let step = { (name: String, ok: Bool, text: String) -> JSONValue in
            ["step": .string(name), "ok": .bool(ok), "text": .string(text)]
        }
        let failed = QueueHealth.judge(check: [
            "name": "hub", "ok": .bool(false),
            "findings": [step("connect", true, "192.0.2.1"), step("tls", false, "expired")],
        ])
        #expect(failed.verdict == .problem && failed.message == "tls: expired")
        let good = QueueHealth.judge(check: [
            "name": "hub", "ok": .bool(true), "peer": "192.0.2.1:25", "tls": "TLSv1.3", "findings": [],
        ])
        #expect(good == .ok("relay hub", "takes a session at 192.0.2.1:25, TLSv1.3"))
    }

    @Test("room on the disk, in bytes and in files")
    func disk() {
        let gigabyte = 1 << 30
        let verdict = { (free: Int, files: Int?) in
            MachineHealth.judge(disk: "/", free: free, total: 100 * gigabyte, files: files).verdict
        }
        #expect(verdict(2 * gigabyte, nil) == .ok)
        #expect(verdict(gigabyte - 1, 1_000_000) == .warning)
        #expect(verdict(100 << 20, nil) == .problem)
        #expect(verdict(50 * gigabyte, 10) == .problem)
    }

    @Test("a clock that nobody keeps right is a warning, one of another time a problem")
    func clock() {
        #expect(MachineHealth.judge(clockSynchronized: true, year: 2027).verdict == .ok)
        #expect(MachineHealth.judge(clockSynchronized: false, year: 2027).verdict == .warning)
        #expect(MachineHealth.judge(clockSynchronized: true, year: 1970).verdict == .problem)
        #expect(MachineHealth.judge(clockSynchronized: nil, year: 2027).verdict == .ok)
    }

    @Test("a state directory that others may read is told")
    func state() {
        #expect(MachineHealth.judge("/var/lib/maild", mode: 0o700) == nil)
        #expect(MachineHealth.judge("/var/lib/maild", mode: 0o755)?.advice == "chmod 700 /var/lib/maild")
    }
}
