// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailControl
import MailJob
import MailWire
import Testing

@Suite("Parameters of a call")
struct ParametersTests {
    private func parameters(_ object: JSONObject, known: [String] = ["a"]) throws -> Parameters {
        try Parameters(VarlinkCall(method: "x.Y", parameters: object), known: known)
    }

    @Test("an unknown one is named")
    func unknown() {
        #expect(throws: ServiceError.invalidParameter("b")) { try parameters(["a": 1, "b": 2]) }
    }

    @Test("integers have bounds; 8.0 is one", arguments: [(1, 1), (8.0, 8), (10, 10)] as [(JSONValue, Int)])
    func integer(value: JSONValue, integer: Int) throws {
        #expect(try parameters(["a": value]).integer("a", in: 1...10) == integer)
    }

    @Test("what is no integer in the bounds is refused", arguments: [0, 11, 1.5, "1", true, [], nil] as [JSONValue])
    func noInteger(value: JSONValue) throws {
        let parameters = try parameters(["a": value])
        #expect(throws: ServiceError.invalidParameter("a")) { try parameters.integer("a", in: 1...10) }
    }

    @Test("an optional one may be missing or null, but not wrong")
    func optional() throws {
        for object in [[:], ["a": nil]] as [JSONObject] {
            let parameters = try parameters(object)
            #expect(try parameters.optionalInteger("a", in: 1...2) == nil)
            #expect(try parameters.optionalID("a") == nil)
            #expect(try parameters.optionalState("a") == nil)
            #expect(throws: ServiceError.invalidParameter("a")) { try parameters.string("a") }
        }
        let wrong = try parameters(["a": "?"])
        #expect(throws: ServiceError.invalidParameter("a")) { try wrong.optionalID("a") }
        #expect(throws: ServiceError.invalidParameter("a")) { try wrong.optionalState("a") }
        #expect(throws: ServiceError.invalidParameter("a")) { try wrong.optionalInteger("a", in: 1...2) }
    }

    @Test("ids and states are read by their text")
    func typed() throws {
        let id = JobID(raw: 1 << 40)
        #expect(try parameters(["a": .string(id.description)]).optionalID("a") == id)
        #expect(try parameters(["a": "held"]).optionalState("a") == .held)
        #expect(try parameters(["a": "x"]).string("a") == "x")
    }
}
