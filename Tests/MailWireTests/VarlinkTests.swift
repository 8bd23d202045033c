// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Testing

@Suite struct VarlinkTests {
    static let calls: [(String, VarlinkCall)] = [
        (#"{"method":"a.b.C"}"#, VarlinkCall(method: "a.b.C")),
        (#"{"method":"a.b.C","parameters":{}}"#, VarlinkCall(method: "a.b.C")),
        (#"{"method":"a.b.C","parameters":null,"more":null}"#, VarlinkCall(method: "a.b.C")),
        (
            #"{"method":"a.b.C","parameters":{"workers":8},"more":true,"oneway":false}"#,
            VarlinkCall(method: "a.b.C", parameters: ["workers": 8], more: true)
        ),
        (
            #"{"parameters":{},"oneway":true,"upgrade":true,"method":"a.b.C","extra":1}"#,
            VarlinkCall(method: "a.b.C", oneway: true, upgrade: true)
        ),
    ]

    @Test("a call is read", arguments: calls)
    func readsCalls(_ text: String, _ call: VarlinkCall) throws {
        #expect(try VarlinkCall(parsing: Array(text.utf8)) == call)
        #expect(call.bytes.last == 0)
        #expect(try VarlinkCall(parsing: call.bytes.dropLast()) == call)
    }

    @Test(
        "what is no call is refused",
        arguments: [
            "", "[]", "{}", "1", #"{"method":5}"#, #"{"method":"a.B","parameters":[]}"#,
            #"{"method":"a.B","more":1}"#, #"{"method":"a.B","oneway":"yes"}"#, #"{"method":"a.B","method":"a.C"}"#,
        ])
    func refusesCalls(_ text: String) {
        #expect(throws: JSONError.self) { try VarlinkCall(parsing: Array(text.utf8)) }
    }

    @Test("a method is an interface and a member")
    func names() {
        let call = VarlinkCall(method: "io.maild.Control.Status")
        #expect(call.interface == "io.maild.Control" && call.member == "Status")
        let bare = VarlinkCall(method: "Status")
        #expect(bare.interface.isEmpty && bare.member == "Status")
    }

    static let replies: [(VarlinkReply, String)] = [
        (VarlinkReply(), #"{"parameters":{}}"#),
        (VarlinkReply(["paused": true]), #"{"parameters":{"paused":true}}"#),
        (VarlinkReply(["n": 1], continues: true), #"{"parameters":{"n":1},"continues":true}"#),
        (
            VarlinkReply(["id": "x"], error: "io.maild.Control.NoSuchJob"),
            #"{"error":"io.maild.Control.NoSuchJob","parameters":{"id":"x"}}"#
        ),
        (
            VarlinkReply(.interfaceNotFound("a.b")),
            #"{"error":"org.varlink.service.InterfaceNotFound","parameters":{"interface":"a.b"}}"#
        ),
        (
            VarlinkReply(.methodNotFound("a.b.C")),
            #"{"error":"org.varlink.service.MethodNotFound","parameters":{"method":"a.b.C"}}"#
        ),
        (
            VarlinkReply(.methodNotImplemented("a.b.C")),
            #"{"error":"org.varlink.service.MethodNotImplemented","parameters":{"method":"a.b.C"}}"#
        ),
        (
            VarlinkReply(.invalidParameter("workers")),
            #"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"workers"}}"#
        ),
        (VarlinkReply(.permissionDenied), #"{"error":"org.varlink.service.PermissionDenied","parameters":{}}"#),
        (VarlinkReply(.expectedMore), #"{"error":"org.varlink.service.ExpectedMore","parameters":{}}"#),
    ]

    @Test("a reply is written and read", arguments: replies)
    func roundTrip(_ reply: VarlinkReply, _ text: String) throws {
        #expect(reply.bytes == Array(text.utf8) + [0])
        #expect(try VarlinkReply(parsing: Array(text.utf8)) == reply)
    }

    @Test("a reply without parameters has none, and one that is no object is refused")
    func sparseReplies() throws {
        #expect(try VarlinkReply(parsing: Array("{}".utf8)) == VarlinkReply())
        #expect(throws: JSONError.self) { try VarlinkReply(parsing: Array("[]".utf8)) }
    }

    @Test("the description of org.varlink.service names all its errors")
    func description() {
        let errors: [ServiceError] = [
            .interfaceNotFound(""), .methodNotFound(""), .methodNotImplemented(""), .invalidParameter(""),
            .permissionDenied, .expectedMore,
        ]
        for error in errors {
            let name = error.name.dropFirst(ServiceInterface.name.count + 1)
            let parameters = error.parameters.keys.map { "\($0): string" }.joined(separator: ", ")
            #expect(ServiceInterface.description.contains("error \(name) (\(parameters))\n"))
        }
        #expect(ServiceInterface.description.contains("\ninterface \(ServiceInterface.name)\n"))
    }
}
