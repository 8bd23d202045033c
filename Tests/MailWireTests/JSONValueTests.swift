// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Testing

@Suite struct JSONValueTests {
    static let texts: [(String, JSONValue)] = [
        ("null", nil), ("true", true), ("false", false), ("5", 5), ("-5", -5), ("2.5", 2.5), ("[]", []), ("{}", [:]),
        (#""a""#, "a"), (#"["a",1,[null]]"#, ["a", 1, [nil]]),
        (#"{"b":{"x":[1,2.5]},"a":"é"}"#, ["b": ["x": [1, 2.5]], "a": "é"]),
        (#""\"\\/\b\f\n\r\t\u0000\u001f ""#, "\"\\/\u{8}\u{C}\n\r\t\u{0}\u{1F}\u{7F}"),
    ]

    @Test("a value is read from its text and written as it again", arguments: texts)
    func roundTrip(_ text: String, _ value: JSONValue) throws {
        #expect(try JSONValue(parsing: value.text) == value)
        if case .string = value { return }
        #expect(try JSONValue(parsing: text) == value)
        #expect(value.text == text)
    }

    @Test("strings are escaped as little as JSON allows")
    func escapes() {
        #expect(
            JSONValue.string("a\"b\\c/d\u{8}\u{9}\u{A}\u{C}\u{D}\u{0}\u{1B}é😀\u{7F}").text
                == "\"a\\\"b\\\\c/d\\b\\t\\n\\f\\r\\u0000\\u001bé😀\u{7F}\"")
        #expect(JSONValue.string("").text == "\"\"")
        #expect(JSONValue.number(.infinity).text == "null")
        #expect(JSONValue.number(.nan).text == "null")
        #expect(JSONValue.number(1e100).text == "1e+100")
    }

    @Test("people get a member a line")
    func pretty() {
        let value: JSONValue = ["a": 1, "b": [1, ["c": []]], "d": [:], "e": []]
        #expect(
            value.prettyText == """
                {
                  "a": 1,
                  "b": [
                    1,
                    {
                      "c": []
                    }
                  ],
                  "d": {},
                  "e": []
                }
                """)
    }

    @Test("a look inside gives nil for what is not there or of another kind")
    func access() {
        let value: JSONValue = ["s": "x", "i": 5, "d": 2.5, "w": 8.0, "b": true, "a": [1], "o": ["p": nil], "n": nil]
        #expect(value["s"]?.string == "x" && value["s"]?.int == nil)
        #expect(value["i"]?.int == 5 && value["i"]?.double == 5)
        #expect(value["d"]?.double == 2.5 && value["d"]?.int == nil)
        #expect(value["w"]?.int == 8)
        #expect(value["b"]?.bool == true && value["i"]?.bool == nil)
        #expect(value["a"]?.array == [1] && value["a"]?.object == nil)
        #expect(value["o"]?["p"] == .null && value["o"]?["q"] == nil)
        #expect(value["n"]?.isNull == true && value["x"] == nil && value["s"]?["t"] == nil)
        #expect(JSONValue.number(1e300).int == nil)
    }

    @Test("an object keeps the order of its keys and compares without it")
    func objects() {
        var object: JSONObject = ["z": 1, "a": 2]
        object["m"] = 3
        object["z"] = 4
        #expect(object.keys == ["z", "a", "m"])
        #expect(object == ["m": 3, "a": 2, "z": 4])
        #expect(object != ["m": 3, "a": 2, "z": 1])
        #expect(object != ["m": 3, "a": 2])
        object["a"] = nil
        #expect(object.map(\.key) == ["z", "m"])
    }

    @Test("a composed and a decomposed letter are two keys, as their bytes are")
    func keysAreBytes() throws {
        let value = try JSONValue(parsing: "{\"\u{E9}\":1,\"e\u{301}\":2}")
        #expect(value["\u{E9}"] == 1 && value["e\u{301}"] == 2)
    }

    /// A sink that is no array, as a network buffer is.
    private struct Pieces: ByteSink {
        var text = ""
        mutating func put(_ byte: UInt8) { text.unicodeScalars.append(Unicode.Scalar(byte)) }
        mutating func put(_ bytes: UnsafeRawBufferPointer) { text += String(decoding: bytes, as: UTF8.self) }
    }

    @Test("any sink takes JSON")
    func sinks() {
        var sink = Pieces()
        sink.put("{\"a\":")
        sink.putJSON("é\"\n".dropLast(1))
        sink.put(",\"b\":")
        sink.putJSON(-17)
        sink.put(",\"c\":")
        sink.putJSON(0.5)
        sink.put(",\"d\":")
        sink.putJSON(false)
        sink.put(",\"e\":")
        sink.putJSON(["x": [1, nil]] as JSONValue)
        sink.put("}")
        #expect(sink.text == #"{"a":"é\"","b":-17,"c":0.5,"d":false,"e":{"x":[1,null]}}"#)
    }
}
