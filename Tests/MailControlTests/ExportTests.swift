// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailControl
import MailJob
import MailWire
import Testing

private func line(_ subject: String = "hi", content: String = "text") -> String {
    #"{"to":["a@example.com"],"from":"app@example.org", "subject":"\#(subject)","content":"\#(content)"}"#
}

@Suite("Jobs that move to another spool", .timeLimit(.minutes(1)), .serialized)
struct ExportTests {
    private func exported(_ caller: Caller, _ parameters: JSONObject = [:]) -> [JSONValue] {
        caller.control("Export", parameters)?.parameters["jobs"]?.array ?? []
    }

    private func outcomes(_ caller: Caller, _ jobs: [JSONValue], hold: Bool = false) -> [JSONValue] {
        caller.control("Import", ["jobs": .array(jobs), "hold": .bool(hold)])?.parameters["results"]?.array ?? []
    }

    private func listed(_ caller: Caller) -> [String] {
        caller.control("List", ["limit": 1000])?.parameters["jobs"]?.array?.map(\.text) ?? []
    }

    @Test("a job is the same in the other spool, and there once")
    func moves() async throws {
        let (old, new) = (try await Desk(), try await Desk())
        let ids = try await old.submit([line("one"), line("zwölf \\\" \\u00fc")]).map(\.description)
        let later = try await old.submit([line("later")], delay: 500).map(\.description)
        let (from, to) = (try old.caller(), try new.caller())
        let jobs = exported(from)
        #expect(jobs.map { $0["id"]?.string } == ids + later)
        #expect(jobs.map { $0["state"]?.string } == ["ready", "ready", "scheduled"])
        #expect(jobs[1]["line"]?.string == line("zwölf \\\" \\u00fc"))
        let results = outcomes(to, jobs)
        #expect(results.map { $0["outcome"]?.string } == ["imported", "imported", "imported"])
        #expect(results.map { $0["job"]?.string } == ids + later)
        #expect(outcomes(to, jobs).map { $0["outcome"]?.string } == ["known", "known", "known"])
        // What was ready is due now.
        #expect(listed(to).map { $0.replacing(",\"due_at\":\"\(Desk.start.rfc3339)\"", with: "") } == listed(from))
        #expect(exported(to).map { $0["line"] } == jobs.map { $0["line"] })
    }

    @Test("pages and filters are those of a list")
    func filters() async throws {
        let desk = try await Desk()
        let ids = try await desk.submit([line(), line()]).map(\.description)
        let caller = try desk.caller()
        #expect(exported(caller, ["after": JSONValue(ids[0])]).map { $0["id"]?.string } == [ids[1]])
        #expect(exported(caller, ["filter": ["states": ["held"]]]).isEmpty)
        #expect(exported(caller, ["filter": ["from": "app@"]]).count == 2)
        let ended = caller.control("Export", ["filter": ["states": ["delivered"]]])
        #expect(ended?.parameters["parameter"]?.string == "filter.states")
    }

    @Test("a job in a worker's hands is told as running")
    func running() async throws {
        let desk = try await Desk(workers: 1, isPaused: false)
        _ = try await desk.submit([line(), line()])
        let caller = try desk.caller()
        #expect(exported(caller).map { $0["state"]?.string } == ["running", "ready"])
        #expect(exported(caller, ["filter": ["states": ["running"]]]).count == 1)
    }

    @Test("what cannot be imported is refused by its field, and costs its neighbours nothing")
    func refusals() async throws {
        let desk = try await Desk()
        _ = try await desk.submit([line()])
        let caller = try desk.caller()
        let good = try #require(exported(caller).first?.object)
        let faults: [(String, JSONValue?)] = [
            ("format", 2), ("format", nil), ("id", "x"), ("id", "7ZZZZZZZZZZZZ"), ("state", "delivered"),
            ("state", nil),
            ("queue", "none"), ("priority", 10), ("uid", -1), ("expires_at", "soon"), ("attempts", "1"),
            ("fates", ["open", "open"]), ("fates", ["gone"]), ("history", [["what": 1]]), ("line", "{}"), ("line", 5),
            ("line", "{\"to\":\n\"a@example.com\"}"), ("lime", 1),
        ]
        let jobs = faults.map { field, value -> JSONValue in
            var job = good
            job[field] = value
            return .object(job)
        }
        let other = try await Desk()
        let to = try other.caller()
        let results = outcomes(to, jobs + [.object(good)])
        for (fault, result) in zip(faults, results) {
            #expect(result["outcome"]?.string == "refused", "\(fault)")
            #expect(result["reason"]?.string?.hasPrefix("\(fault.0): ") == true, "\(fault): \(result.text)")
        }
        #expect(results.last?["outcome"]?.string == "imported")
    }

    @Test("held, jobs wait to be released at their time")
    func hold() async throws {
        let (old, new) = (try await Desk(), try await Desk())
        let ids = try await old.submit([line()], delay: 500).map(\.description)
        let to = try new.caller()
        #expect(outcomes(to, exported(try old.caller()), hold: true).map { $0["state"]?.string } == ["held"])
        _ = to.control("Release", ["ids": [JSONValue(ids[0])]])
        #expect(exported(to).first?["due_at"]?.string == (Desk.start + 500).rfc3339)
    }

    @Test("a call with jobs may be longer than any other")
    func long() async throws {
        let (old, new) = (try await Desk(), try await Desk())
        _ = try await old.submit([line(content: String(repeating: "x", count: 3 << 20))])
        let jobs = exported(try old.caller())
        let to = try new.caller()
        #expect(outcomes(to, jobs).map { $0["outcome"]?.string } == ["imported"])
        #expect(to.control("Status")?.error == nil)
        let ids = JSONValue.array([JSONValue](repeating: "0000000000000", count: 100_000))
        #expect(to.control("Hold", ["ids": ids]) == nil)
    }
}
