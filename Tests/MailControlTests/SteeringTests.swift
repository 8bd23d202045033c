// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailControl
import MailDispatch
import MailJob
import MailSpool
import MailWire
import Testing

private let line = #"{"to":["a@example.com","b@example.com"],"from":"app@example.org","subject":"hi","ref":"r1"}"#

@Suite("The operators' methods", .timeLimit(.minutes(1)), .serialized)
struct SteeringTests {
    @Test("Scale takes effect, and 0 means the configured number")
    func scale() async throws {
        let caller = try await Desk(workers: 2).caller()
        #expect(caller.control("Scale", ["workers": 7])?.parameters == ["workers": 7, "previous": 2])
        #expect(caller.control("Status")?.parameters["workers"]?.int == 7)
        #expect(caller.control("Status")?.parameters["workers_configured"]?.int == 2)
        #expect(caller.control("Scale", ["workers": 0])?.parameters == ["workers": 2, "previous": 7])
    }

    @Test("Pause and Resume say how it was before")
    func pause() async throws {
        let caller = try await Desk(isPaused: false).caller()
        #expect(caller.control("Pause")?.parameters == ["paused": true, "was_paused": false])
        #expect(caller.control("Pause")?.parameters == ["paused": true, "was_paused": true])
        #expect(caller.control("Status")?.parameters["paused"]?.bool == true)
        #expect(caller.control("Resume")?.parameters == ["paused": false, "was_paused": true])
        #expect(caller.control("Resume")?.parameters == ["paused": false, "was_paused": false])
    }

    @Test("Reload tells what took effect, or what is wrong with the file")
    func reload() async throws {
        let desk = try await Desk()
        desk.reloads.withLock {
            $0 = [
                .success(ReloadOutcome(changed: ["workers"], restartNeeded: ["spool.path"])),
                .failure(ReloadFailure(message: "maild.toml:3: workers")),
            ]
        }
        let caller = try desk.caller()
        #expect(caller.control("Reload")?.parameters == ["changed": ["workers"], "restart_needed": ["spool.path"]])
        let failed = try #require(caller.control("Reload"))
        #expect(failed.error == "io.maild.Control.ReloadFailed")
        #expect(failed.parameters == ["message": "maild.toml:3: workers"])
    }

    @Test("Status counts a running job apart from those that wait")
    func status() async throws {
        let desk = try await Desk(workers: 1)
        _ = try await desk.submit([line, line, line])
        _ = try await desk.submit([line], delay: 60)
        let caller = try desk.caller()
        #expect(caller.control("Status")?.parameters["counts"] == counts(ready: 3, scheduled: 1, running: 0))
        _ = caller.control("Resume")
        let status = try #require(caller.control("Status")?.parameters)
        #expect(status["counts"] == counts(ready: 2, scheduled: 1, running: 1))
        #expect(status["state"]?.string == "running")
        #expect(status["started_at"]?.string == Desk.start.rfc3339)
        #expect(status["worker_list"]?.array?.count == 1)
        #expect(status["worker_list"]?.array?.first?["state"]?.string == "running")
        #expect(status["worker_list"]?.array?.first?["kind"]?.string == "email")
        #expect(status["relays"]?.array?.first?["address"]?.string == "mx:25")
    }

    private func counts(ready: Int, scheduled: Int, running: Int) -> JSONValue {
        [
            "ready": JSONValue(ready), "scheduled": JSONValue(scheduled), "running": JSONValue(running), "held": 0,
            "failed": 0,
        ]
    }

    @Test("List goes page by page, oldest first")
    func list() async throws {
        let desk = try await Desk()
        let ids = try await desk.submit((0..<5).map { _ in line }).map(\.description)
        let caller = try desk.caller()
        var found: [[String?]] = []
        var after: JSONValue?
        repeat {
            var parameters: JSONObject = ["limit": 2]
            parameters["after"] = after
            let page = try #require(caller.control("List", parameters)?.parameters)
            found.append(page["jobs"]?.array?.map { $0["id"]?.string } ?? [])
            after = page["next"]
        } while after != nil
        #expect(found == [[ids[0], ids[1]], [ids[2], ids[3]], [ids[4]]])
    }

    @Test("List filters by state; what runs is known though the disk says ready")
    func listByState() async throws {
        let desk = try await Desk(workers: 1)
        let ready = try await desk.submit([line, line]).map(\.description)
        let later = try await desk.submit([line], delay: 60).map(\.description)
        let caller = try desk.caller()
        _ = caller.control("Resume")
        func ids(_ state: String) -> [String?]? {
            caller.control("List", ["state": .string(state)])?.parameters["jobs"]?.array?.map { $0["id"]?.string }
        }
        #expect(ids("running") == [ready[0]])
        #expect(ids("scheduled") == later)
        #expect(ids("failed") == [] && ids("delivered") == [])
        let all = caller.control("List")?.parameters["jobs"]?.array
        #expect(all?.map { $0["state"]?.string } == ["running", "ready", "scheduled"])
    }

    @Test("Show tells a job's letterhead from its line")
    func show() async throws {
        let desk = try await Desk()
        let id = try await desk.submit([line], delay: 60)[0].description
        let shown = try #require(desk.caller().control("Show", ["id": .string(id.lowercased())])?.parameters)
        #expect(shown["subject"]?.string == "hi")
        #expect(shown["expires_at"]?.string == (Desk.start + 1000).rfc3339)
        #expect(shown["history"] == [])
        #expect(
            shown["job"] == [
                "id": .string(id), "state": "scheduled", "kind": "email", "priority": 4,
                "accepted_at": .string(Desk.start.rfc3339), "attempts": 0, "uid": 1000, "app": "other",
                "queue": "default", "tags": [],
                "bytes": JSONValue(line.utf8.count), "to": ["a@example.com", "b@example.com"],
                "due_at": .string((Desk.start + 60).rfc3339), "from": "app@example.org", "ref": "r1",
            ])
    }
}
