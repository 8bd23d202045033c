// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailControl
import MailDispatch
import MailJob
import MailSpool
import MailWire
import Testing

private let line = #"{"to":["a@example.com","b@example.com"],"from":"app@example.org","subject":"hi","ref":"r1"}"#

@Suite("The operators' socket", .timeLimit(.minutes(1)), .serialized)
struct ControlServerTests {
    // MARK: The service

    @Test("it says what it is and describes its interfaces")
    func service() async throws {
        let caller = try await Desk().caller()
        let info = try #require(caller.call("org.varlink.service.GetInfo"))
        #expect(info.error == nil)
        #expect(info.parameters["version"]?.string == Version.text)
        #expect(info.parameters["interfaces"]?.array == ["org.varlink.service", "io.maild.Control"])
        for (name, text) in [
            (ControlInterface.name, ControlInterface.description),
            (ServiceInterface.name, ServiceInterface.description),
        ] {
            let reply = caller.call("org.varlink.service.GetInterfaceDescription", ["interface": .string(name)])
            #expect(reply?.parameters["description"]?.string == text)
        }
    }

    struct Fault: Sendable {
        var method: String
        var parameters: JSONObject = [:]
        var error: String
        var says: JSONObject
    }

    static let faults = [
        Fault(
            method: "io.maild.Control.Explode", error: "org.varlink.service.MethodNotFound",
            says: ["method": "io.maild.Control.Explode"]),
        Fault(
            method: "org.varlink.service.Explode", error: "org.varlink.service.MethodNotFound",
            says: ["method": "org.varlink.service.Explode"]),
        Fault(
            method: "com.example.Other.Do", error: "org.varlink.service.InterfaceNotFound",
            says: ["interface": "com.example.Other"]),
        Fault(method: "Status", error: "org.varlink.service.InterfaceNotFound", says: ["interface": ""]),
        Fault(
            method: "org.varlink.service.GetInterfaceDescription", parameters: ["interface": "com.example.Other"],
            error: "org.varlink.service.InterfaceNotFound", says: ["interface": "com.example.Other"]),
        invalid("GetInterfaceDescription", [:], "interface", of: ServiceInterface.name),
        invalid("GetInfo", ["verbose": true], "verbose", of: ServiceInterface.name),
        invalid("Scale", [:], "workers"), invalid("Scale", ["workers": nil], "workers"),
        invalid("Scale", ["workers": "8"], "workers"), invalid("Scale", ["workers": 1.5], "workers"),
        invalid("Scale", ["workers": -1], "workers"), invalid("Scale", ["workers": 1025], "workers"),
        invalid("Scale", ["workers": 8, "now": true], "now"), invalid("Pause", ["x": 1], "x"),
        invalid("Resume", ["x": 1], "x"), invalid("Status", ["x": 1], "x"), invalid("Reload", ["x": 1], "x"),
        invalid("List", ["limit": 0], "limit"), invalid("List", ["limit": 1001], "limit"),
        invalid("List", ["state": "lost"], "state"), invalid("List", ["state": 1], "state"),
        invalid("List", ["after": "x"], "after"), invalid("Show", [:], "id"), invalid("Show", ["id": 5], "id"),
        Fault(
            method: "io.maild.Control.Show", parameters: ["id": "nonsense"], error: "io.maild.Control.NoSuchJob",
            says: ["id": "nonsense"]),
        Fault(
            method: "io.maild.Control.Show", parameters: ["id": "0000000000000"], error: "io.maild.Control.NoSuchJob",
            says: ["id": "0000000000000"]),
    ]

    private static func invalid(
        _ member: String, _ parameters: JSONObject, _ name: String, of interface: String = ControlInterface.name
    ) -> Fault {
        Fault(
            method: "\(interface).\(member)", parameters: parameters, error: "org.varlink.service.InvalidParameter",
            says: ["parameter": .string(name)])
    }

    @Test("wrong calls have their error, which names what is wrong", arguments: faults)
    func faulty(_ fault: Fault) async throws {
        let caller = try await Desk().caller()
        let reply = try #require(caller.call(fault.method, fault.parameters))
        #expect(reply.error == fault.error)
        #expect(reply.parameters == fault.says)
        #expect(caller.call("org.varlink.service.GetInfo")?.error == nil, "the connection goes on")
    }

    @Test("a message that is no call closes the connection", arguments: ["garbage", "[]", "{}", #"{"method":5}"#])
    func garbage(message: String) async throws {
        let desk = try await Desk()
        let caller = try desk.caller()
        caller.write(message)
        #expect(caller.reply() == nil)
        #expect(try desk.caller().call("org.varlink.service.GetInfo")?.error == nil)
    }

    @Test("calls that are sent ahead are answered in their order; one-way calls are not answered")
    func pipelined() async throws {
        let desk = try await Desk()
        let caller = try desk.caller()
        for workers in 1...100 {
            caller.write(
                #"{"method":"io.maild.Control.Scale","parameters":{"workers":\#(workers)}}"#,
                #"{"method":"io.maild.Control.Pause","oneway":true}"#)
        }
        caller.finish()
        var workers: [Int?] = []
        while let reply = caller.reply() { workers.append(reply.parameters["workers"]?.int) }
        #expect(workers == Array(1...100))
    }

    @Test("a client that closes its side gets a long answer whole")
    func closesThenReads() async throws {
        let desk = try await Desk()
        _ = try await desk.submit((0..<1000).map { _ in line })
        let caller = try desk.caller()
        for _ in 0..<4 { caller.write(#"{"method":"io.maild.Control.List","parameters":{"limit":1000}}"#) }
        caller.finish()
        // As long as another is answered nine times, nobody reads what the first was answered.
        let other = try desk.caller()
        for _ in 0..<9 { #expect(other.control("Status")?.error == nil) }
        for _ in 0..<4 { #expect(caller.reply()?.parameters["jobs"]?.array?.count == 1000) }
        #expect(caller.reply() == nil)
    }

    @Test("closing the server hangs up on its clients")
    func close() async throws {
        let desk = try await Desk()
        let caller = try desk.caller()
        #expect(caller.call("org.varlink.service.GetInfo") != nil)
        try await desk.close()
        #expect(caller.reply() == nil)
    }
}
