// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailControl
import MailDispatch
import MailJob
import MailSpool
import MailWire
import Testing

private func line(to: String = "a@example.com", tag: String? = nil) -> String {
    let tags = tag.map { #","tags":["\#($0)"]"# } ?? ""
    return #"{"to":["\#(to)"],"from":"app@example.org","subject":"hi"\#(tags)}"#
}

@Suite("What operators do to jobs", .timeLimit(.minutes(1)), .serialized)
struct VerbTests {
    private func states(_ caller: Caller) -> [String: String] {
        let jobs = caller.control("List", ["limit": 1000])?.parameters["jobs"]?.array ?? []
        return Dictionary(uniqueKeysWithValues: jobs.map { ($0["id"]?.string ?? "", $0["state"]?.string ?? "") })
    }

    @Test("a verb by ids says what it changed, and how those stand that it left alone")
    func byID() async throws {
        let desk = try await Desk(workers: 1)
        let ids = try await desk.submit([line(), line(), line()]).map(\.description)
        let caller = try desk.caller()
        _ = caller.control("Resume")
        #expect(states(caller)[ids[0]] == "running")
        let wanted: JSONObject = ["ids": [JSONValue(ids[0]), JSONValue(ids[1]), "0000000000000"]]
        let held = try #require(caller.control("Hold", wanted))
        #expect(held.error == nil)
        #expect(held.parameters["changed"]?.int == 1 && held.parameters["unchanged"]?.int == 2)
        #expect(held.parameters["ids"] == [JSONValue(ids[1])])
        #expect(held.parameters["others"] == [["id": "0000000000000"], ["id": JSONValue(ids[0]), "state": "running"]])
        #expect(states(caller) == [ids[0]: "running", ids[1]: "held", ids[2]: "ready"])
        let again = caller.control("Hold", ["ids": [JSONValue(ids[1])]])?.parameters
        #expect(again?["changed"]?.int == 0 && again?["others"] == [["id": JSONValue(ids[1]), "state": "held"]])
        #expect(caller.control("Cancel", ["ids": [JSONValue(ids[2])]])?.parameters["changed"]?.int == 1)
        #expect(caller.control("Show", ["id": JSONValue(ids[2])])?.parameters["job"]?["state"]?.string == "cancelled")
        #expect(caller.control("Purge", ["ids": [JSONValue(ids[2])]])?.parameters["changed"]?.int == 1)
        #expect(caller.control("Show", ["id": JSONValue(ids[2])])?.error == "io.maild.Control.NoSuchJob")
    }

    @Test("each verb stands in the job's history, with who did it")
    func history() async throws {
        let desk = try await Desk()
        let id = try await desk.submit([line()])[0].description
        let caller = try desk.caller()
        for verb in ["Hold", "Release", "Hold", "Retry", "Cancel"] {
            #expect(caller.control(verb, ["ids": [.string(id)]])?.parameters["changed"]?.int == 1, "\(verb)")
        }
        let history = caller.control("Show", ["id": .string(id)])?.parameters["history"]?.array ?? []
        #expect(history.map { $0["event"]?.string } == ["held", "released", "held", "retried", "cancelled"])
        let uid = Int(Self.uid)
        #expect(history.allSatisfy { $0["by"]?.int == uid && $0["at"]?.string == Desk.start.rfc3339 })
    }

    private static var uid: UInt32 { TestUser.uid }

    @Test("a filter goes over as many pages as it takes, and takes nothing that comes later")
    func byFilter() async throws {
        let desk = try await Desk()
        let count = 2 * Limits.changeJobsMax + 5
        _ = try await desk.submit((0..<count).map { _ in line(tag: "a") })
        let other = try await desk.submit([line(to: "bob@example.net", tag: "b")])[0].description
        let caller = try desk.caller()
        let dry = caller.control("Hold", ["filter": ["tag": "a"], "dry_run": true])?.parameters
        #expect(dry?["changed"]?.int == count && dry?["ids"]?.array?.count == Limits.changeJobsMax)
        #expect(desk.spool.tally.held == 0)
        let held = caller.control("Hold", ["filter": ["tag": "a"]])?.parameters
        #expect(held?["changed"]?.int == count && held?["unchanged"]?.int == 0)
        #expect(desk.spool.tally.held == count && desk.spool.tally.ready == 1)
        let found = jobs(caller, ["to": "BOB@", "from": "app@"])
        #expect(found.map { $0["id"]?.string } == [other])
        #expect(found.first?["tags"] == ["b"] && found.first?["queue"]?.string == "default")
        // Without states the verb's own: what is held is not held again.
        #expect(caller.control("Hold", ["filter": [:]])?.parameters["ids"] == [JSONValue(other)])
        #expect(caller.control("Retry", ["filter": [:]])?.parameters["changed"]?.int == 0)
    }

    /// Over pages that end early, because each line is looked into.
    private func jobs(_ caller: Caller, _ filter: JSONObject) -> [JSONValue] {
        var found: [JSONValue] = []
        var parameters: JSONObject = ["filter": .object(filter)]
        repeat {
            let page = caller.control("List", parameters)?.parameters
            found += page?["jobs"]?.array ?? []
            parameters["after"] = page?["next"]
        } while parameters["after"] != nil
        return found
    }

    @Test("with more, each page is told, and its jobs with it")
    func pages() async throws {
        let desk = try await Desk()
        let count = 2 * Limits.changeJobsMax + 5
        let ids = try await desk.submit((0..<count).map { _ in line() }).map(\.description)
        let caller = try desk.caller()
        caller.write(#"{"method":"io.maild.Control.Cancel","parameters":{"filter":{}},"more":true}"#)
        var told: [String] = []
        var totals: [Int?] = []
        while let reply = caller.reply() {
            told += reply.parameters["ids"]?.array?.compactMap(\.string) ?? []
            totals.append(reply.parameters["changed"]?.int)
            if !reply.continues { break }
        }
        #expect(told == ids)
        #expect(totals.last == count && totals.count >= 3)
    }

    @Test(
        "a filter's mistakes are named",
        arguments: [
            (["filter": ["states": ["lost"]]], "filter.states"), (["filter": ["queue": "nope"]], "filter.queue"),
            (["filter": ["kind": "fax"]], "filter.kind"), (["filter": ["uids": [-1]]], "filter.uids"),
            (["filter": ["accepted_since": "yesterday"]], "filter.accepted_since"),
            (["filter": ["too": "x"]], "filter.too"),
            (["filter": 5], "filter"), (["ids": ["x"]], "ids"), ([:], "ids"), (["ids": [], "filter": [:]], "filter"),
            (["ids": [], "dry_run": 1], "dry_run"),
        ] as [(JSONObject, String)])
    func mistakes(_ parameters: JSONObject, _ name: String) async throws {
        let reply = try await Desk().caller().control("Purge", parameters)
        #expect(reply?.error == "org.varlink.service.InvalidParameter")
        #expect(reply?.parameters == ["parameter": .string(name)])
    }

    @Test("a queue is paused by itself, and resumed")
    func queues() async throws {
        let desk = try await Desk(isPaused: false)
        let caller = try desk.caller()
        let queue: JSONObject = ["queue": "default"]
        #expect(caller.control("Pause", queue)?.parameters == ["paused": true, "was_paused": false])
        #expect(caller.control("Status")?.parameters["paused"]?.bool == false)
        _ = try await desk.submit([line()])
        #expect(caller.control("Status")?.parameters["counts"]?["running"]?.int == 0)
        #expect(caller.control("Resume", queue)?.parameters == ["paused": false, "was_paused": true])
        #expect(caller.control("Status")?.parameters["counts"]?["running"]?.int == 1)
        #expect(caller.control("Pause", ["queue": "nope"])?.parameters == ["parameter": "queue"])
    }

    @Test("Drain tells how it was before")
    func drain() async throws {
        let desk = try await Desk()
        let caller = try desk.caller()
        #expect(caller.control("Drain")?.parameters == ["draining": true, "was_draining": false])
        #expect(desk.isDraining.withLock { $0 })
        #expect(caller.control("Drain", ["on": false])?.parameters == ["draining": false, "was_draining": true])
    }
}
