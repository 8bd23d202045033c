// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailControl
import MailDispatch
import MailJob
import MailTelemetry
import MailWire
import Testing

enum TestUser {
    static var uid: UInt32 { getuid() }
}

private let line = #"{"to":"a@example.com","from":"app@example.org"}"#

@Suite("Watching", .timeLimit(.minutes(1)), .serialized)
struct WatchTests {
    private func watcher(_ desk: Desk, _ parameters: String = "{}") throws -> Caller {
        let caller = try desk.caller()
        caller.write(#"{"method":"io.maild.Control.Watch","parameters":\#(parameters),"more":true}"#)
        let first = try #require(caller.reply())
        #expect(first.continues && first.parameters == ["events": [], "missed": 0])
        return caller
    }

    /// The next events, as many as are asked for.
    private func events(_ caller: Caller, _ count: Int) -> [JSONValue] {
        var events: [JSONValue] = []
        while events.count < count, let reply = caller.reply() { events += reply.parameters["events"]?.array ?? [] }
        return events
    }

    @Test("what happens is told in its order, to each who wants to hear of it")
    func life() async throws {
        let desk = try await Desk(workers: 1)
        let id = try await desk.submit([line])[0].description
        let everything = try watcher(desk)
        let held = try watcher(desk, #"{"states":["held"]}"#)
        let other = try watcher(desk, #"{"ids":["0000000000001"]}"#)
        let caller = try desk.caller()
        for verb in ["Hold", "Release"] { _ = caller.control(verb, ["ids": [.string(id)]]) }
        _ = caller.control("Scale", ["workers": 3])
        _ = caller.control("Resume")
        let told = events(everything, 5)
        #expect(told.map { $0["event"]?.string } == ["held", "released", "scaled", "resumed", "attempted"])
        #expect(told[0]["job"]?.string == id && told[0]["by"]?.int == Int(TestUser.uid))
        #expect(told[1]["state"]?.string == "scheduled" && told[2]["workers"]?.int == 3)
        #expect(told[4]["state"]?.string == "running" && told[4]["queue"]?.string == "default")
        #expect(events(held, 1).map { $0["event"]?.string } == ["held"])
        try await desk.close()
        #expect(other.reply() == nil, "nothing was told, and the end is")
    }

    @Test(
        "it wants more, and knows what it is asked for",
        arguments: [
            (#"{"method":"io.maild.Control.Watch"}"#, "org.varlink.service.ExpectedMore"),
            (
                #"{"method":"io.maild.Control.Watch","more":true,"parameters":{"queue":"nope"}}"#,
                "org.varlink.service.InvalidParameter"
            ),
            (
                #"{"method":"io.maild.Control.Watch","more":true,"parameters":{"states":["lost"]}}"#,
                "org.varlink.service.InvalidParameter"
            ),
        ])
    func faults(_ call: String, _ error: String) async throws {
        let caller = try await Desk().caller()
        caller.write(call)
        #expect(caller.reply()?.error == error)
    }

    @Test("who goes is forgotten; too many are told so")
    func many() async throws {
        let desk = try await Desk()
        var watchers = try (0..<Watchers.countMax).map { _ in try watcher(desk) }
        let late = try desk.caller()
        late.write(#"{"method":"io.maild.Control.Watch","more":true}"#)
        #expect(late.reply()?.error == "io.maild.Control.TooManyWatchers")
        // Until here the optimizer must let them live.
        #expect(watchers.allSatisfy { $0.isOpen })
        watchers.removeAll()
        // The daemon notices by itself that they have gone; until then it is full.
        while true {
            late.write(#"{"method":"io.maild.Control.Watch","more":true}"#)
            if late.reply()?.error == nil { break }
        }
    }

    @Test("a slow watcher is told how many events it missed")
    func slow() async throws {
        let desk = try await Desk()
        let slow = try watcher(desk)
        let caller = try desk.caller()
        let count = 4 * Watcher.weightMax
        var queued = 0
        while queued < count {
            let ids = try await desk.submit((0..<1000).map { _ in line })
            queued += ids.count
            _ = caller.control("Hold", ["ids": .array(ids.map { .string($0.description) })])
        }
        var told = 0
        var missed = 0
        while told + missed < queued, let reply = slow.reply() {
            told += reply.parameters["events"]?.array?.count ?? 0
            missed += reply.parameters["missed"]?.int ?? 0
        }
        #expect(told + missed == queued && missed > 0 && told > 0)
    }
}
