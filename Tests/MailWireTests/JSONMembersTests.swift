// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Testing

@Suite struct JSONMembersTests {
    /// The members of a line as `key kind value`, with a mark for what is escaped or beyond ASCII.
    private func members(_ line: String) throws -> [String] {
        var scanner = JSONScanner()
        var table: [JSONMember] = []
        return try withBytes(line) { bytes in
            try scanner.members(of: bytes, into: &table)
            return table.map { describe($0, bytes) }
        }
    }

    private func describe(_ member: JSONMember, _ bytes: UnsafeRawBufferPointer) -> String {
        let key = String(decoding: bytes[member.key], as: UTF8.self)
        let value = String(decoding: bytes[member.value], as: UTF8.self)
        let marks = (member.keyEscaped ? " keyEscaped" : "") + (member.escaped ? " escaped" : "")
        return "\(key) \(member.kind) \(value)\(marks)\(member.ascii ? "" : " beyond")"
    }

    @Test("the table has each member's place, kind and marks")
    func table() throws {
        let line = #" { "a" : "x" , "b":-1.5e3,"c":{"d":[1]}, "e":[ {} ],"f":true,"g":false,"h":null } "#
        #expect(
            try members(line) == [
                #"a string "x""#, "b number -1.5e3", #"c object {"d":[1]}"#, "e array [ {} ]", "f true true",
                "g false false", "h null null",
            ])
        #expect(
            try members(#"{"\u0061":"\n","b":"é","c":"\u00e9","d":""}"#) == [
                #"\u0061 string "\n" keyEscaped escaped"#, #"b string "é" beyond"#, #"c string "\u00e9" escaped"#,
                #"d string """#,
            ])
        #expect(try members("{}") == [])
    }

    @Test("a line must be an object", arguments: ["[]", "1", "\"a\"", "null", "", "x{}", "{}{}", "{},"])
    func onlyObjects(_ line: String) {
        #expect(throws: JSONError.self) { try members(line) }
    }

    @Test("a line has at most 64 members")
    func most() throws {
        let keys = (0..<64).map { "\"\($0)\":0" }.joined(separator: ",")
        #expect(try members("{\(keys)}").count == 64)
        #expect(throws: JSONError.self) { try members("{\(keys),\"64\":0}") }
    }

    @Test("values are read by kind")
    func values() throws {
        let line = #"{"s":"a\n\u20ac\ud83d\ude00\/é","i":42,"d":-2.5,"big":9223372036854775808,"huge":1e999,"e":""}"#
        var scanner = JSONScanner()
        var table: [JSONMember] = []
        try withBytes(line) { bytes in
            try scanner.members(of: bytes, into: &table)
            #expect(table[0].string(in: bytes) == "a\n€😀/é")
            #expect(table[0].bytes(in: bytes) == Array("a\n€😀/é".utf8))
            #expect(table[0].integer(in: bytes) == nil && table[0].double(in: bytes) == nil)
            #expect(table[1].integer(in: bytes) == 42 && table[1].double(in: bytes) == 42)
            #expect(table[1].string(in: bytes) == nil)
            #expect(table[2].integer(in: bytes) == nil && table[2].double(in: bytes) == -2.5)
            #expect(table[3].integer(in: bytes) == nil && table[3].double(in: bytes) == 9223372036854775808)
            #expect(table[4].double(in: bytes) == nil)
            #expect(table[5].string(in: bytes) == "")
        }
    }

    @Test("keys are compared decoded")
    func keys() throws {
        var scanner = JSONScanner()
        var table: [JSONMember] = []
        try withBytes(#"{"send_at":1,"\u0073end_a":2,"send_atx":3,"":4}"#) { bytes in
            try scanner.members(of: bytes, into: &table)
            #expect(table.map { $0.hasKey("send_at", in: bytes) } == [true, false, false, false])
            #expect(table.map { $0.hasKey("send_a", in: bytes) } == [false, true, false, false])
            #expect(table.map { $0.hasKey("", in: bytes) } == [false, false, false, true])
            #expect(table[1].keyString(in: bytes) == "send_a")
        }
    }

    @Test("what is nested is walked over in the same way")
    func elements() throws {
        let line = #"{"a":[ "x" , 1,{"y":"}]\\\"", "z":[2,3]},[[]],null, true ,"é\\"],"b":{},"c":[],"d":5}"#
        var scanner = JSONScanner()
        var table: [JSONMember] = []
        try withBytes(line) { bytes in
            try scanner.members(of: bytes, into: &table)
            let elements = Array(table[0].elements(in: bytes))
            #expect(
                elements.map { describe($0, bytes) } == [
                    #" string "x""#, " number 1", #" object {"y":"}]\\\"", "z":[2,3]}"#, " array [[]]", " null null",
                    " true true", #" string "é\\" escaped beyond"#,
                ])
            #expect(
                elements[2].elements(in: bytes).map { describe($0, bytes) } == [
                    #"y string "}]\\\"" escaped"#, "z array [2,3]",
                ])
            for index in 1...3 { #expect(Array(table[index].elements(in: bytes)).isEmpty) }
        }
    }

    @Test("after an error the table has what was read before it")
    func partial() {
        var scanner = JSONScanner()
        var table: [JSONMember] = []
        withBytes(#"{"ref":"r","to":5,"x":}"#) { bytes in
            #expect(throws: JSONError.self) { try scanner.members(of: bytes, into: &table) }
            #expect(table.map { $0.keyString(in: bytes) } == ["ref", "to"])
        }
    }

    @Test("a scanner that met an error is as good as new")
    func reuse() throws {
        var scanner = JSONScanner()
        var table: [JSONMember] = []
        for bad in [#"{"a":[[[[{"x":1,"#, #"{"a":{"b":1,"b":2}}"#, String(repeating: "[", count: 99)] {
            #expect(throws: JSONError.self) { try withBytes(bad) { try scanner.members(of: $0, into: &table) } }
            try withBytes(#"{"a":{"b":1},"c":2}"#) { try scanner.members(of: $0, into: &table) }
            #expect(table.count == 2)
        }
    }
}
