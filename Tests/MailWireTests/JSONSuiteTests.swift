// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Testing

/// In the manner of the public JSON test suite: texts that every reader must accept (y), must refuse (n), and those
/// that RFC 8259 leaves open (i), where the table says what we do.
@Suite struct JSONSuiteTests {
    static let accepted: [String] = [
        "{}", "[]", "null", "true", "false", "0", "-0", "1", "-1", "12", "120", "1.5", "-1.5", "0.25", "1e3", "1E3",
        "1e+3", "1e-3", "1.5E+10", "0e0", "0e+1", "-0e-1", "123456789012345678901234567890", "[0]", "[-0.0]",
        " [] ", "\t[\n]\r", "[1,2]", "[ 1 , 2 ]", "[[[[]]]]", "[null,true,false]", "[[],{}]", "[\"\",\"\"]",
        "{\"\":0}", "{\"a\":1,\"b\":2}", "{ \"a\" : 1 , \"b\" : 2 }", "{\"a\":{\"a\":{}}}", "{\"a\":[{\"a\":1}]}",
        "{\"a\":[1,2,{\"b\":null}],\"c\":\"d\"}", "{\"a\":1,\"A\":2}", "{\"a\":1,\"aa\":2}",
        #""""#, #""a""#, #"" ""#, #""\"""#, #""\\""#, #""\/""#, #""\b\f\n\r\t""#, #""\u0000""#, #""\u0041""#,
        #""\u00e9\u00E9""#, #""\uD83D\uDE00""#, #""\ud83d\ude00\uD834\uDD1E""#, #""\uDBFF\uDFFF""#, #""\uFFFF""#,
        #""\u2028\u2029""#, #""\\u0041""#, #""\\\"""#, #""\\\\""#, #""a\\""#, "\"\u{7F}\"", "\"\u{80}\"",
        "\"\u{7FF}\"", "\"\u{800}\"", "\"\u{D7FF}\"", "\"\u{E000}\"", "\"\u{FFFF}\"", "\"\u{10000}\"",
        "\"\u{10FFFF}\"", "\"\u{FEFF}\"", "\"é\"", "\"€\"", "\"😀\"", "\"Привет\"", "\"1234567é\"", "\"12345678\"",
        "\"123456789012345\\n\"", "\"\u{2028}\u{2029}\"", "{\"é\":1,\"e\u{301}\":2}", #"{"\u0061":1,"b":2}"#,
    ]

    static let refused: [String] = [
        // Nothing, or not whole.
        "", " ", "{", "}", "[", "]", "[1", "[1,", "[1 ", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "\"", "\"a",
        "\"a\\", "\"a\\\"", "\"\\u", "\"\\u00", "\"\\u004", "\"\\uD83D", "\"\\uD83D\\", "\"\\uD83D\\u", "t", "tr",
        "tru", "nul", "fals", "-", "1.", "1e", "1e+",
        // More than one value, or something around it.
        "[] []", "[]]", "{}}", "1 2", "null x", "[],", "{}#", "\u{FEFF}[]", "\u{FEFF}{}", "// a\n[]", "[]/* a */",
        "[]\u{0}", "\u{A0}[]", "\u{C}[]", "\u{B}[]", "\u{2060}[]",
        // Words.
        "True", "NULL", "nil", "undefined", "NaN", "nan", "Infinity", "-Infinity", "+Infinity", "truee", "nullnull",
        "a", "'a'", "[a]", "[nan]", "[-NaN]", "[-Infinity]",
        // Numbers.
        "+1", "01", "-01", "00", "-00", "0x1", "0b1", "1.", ".5", "-.5", "1.e1", ".1e1", "1e", "1e1.5", "1ee1", "1e1e1",
        "--1", "-", "1-", "1+", "1,000", "1_000", "1.2.3", "[1.]", "[0.e1]", "[1eE2]", "[-]", "[- 1]", "0.1.2", "1a",
        "\u{FF11}", "0e", "[0e+]", "012", "1 000",
        // Arrays.
        "[,]", "[1,]", "[,1]", "[1,,2]", "[1 2]", "[1:2]", "[\"a\" \"b\"]", "[1}", "[1,]]", "[[1]", "[\"a\":1]",
        "[3[4]]", "[*]", "[<null>]",
        // Objects.
        "{,}", "{\"a\":1,}", "{,\"a\":1}", "{\"a\" 1}", "{\"a\",1}", "{\"a\":}", "{:1}", "{a:1}", "{'a':1}", "{1:1}",
        "{null:1}", "{\"a\"::1}", "{\"a\":1 \"b\":2}", "{\"a\":1,,\"b\":2}", "{\"a\":1]", "{\"a\":1}}", "{{}}",
        "{[]:1}", "{\"a\"}", "{\"a\":1:2}", "{\"a\":\"b\"#}", "{\"a\":1;\"b\":2}",
        // Strings.
        "\"\n\"", "\"\t\"", "\"\r\"", "\"\u{0}\"", "\"\u{1F}\"", "\"12345678\u{1}\"", #""\a""#, #""\x41""#, #""\'""#,
        #""\0""#, #""\U0041""#, #""\u""#, #""\u00g0""#, #""\u 041""#, #""\u+041""#, #""\u{41}""#, #""\ ""#, #""\é""#,
        "\"\\\n\"", "\"\\\u{0}\"", #""\""#, #""a"b""#,
        // RFC 8259 §8.2: lone surrogates.
        #""\uD800""#, #""\uDBFF""#, #""\uDC00""#, #""\uDFFF""#, #""\uD83Dx""#, #""\uD83D\n""#, #""\uD83D\uD83D""#,
        #""\uD83D\u0041""#, #""\uDE00\uD83D""#, #""\uD83D\uDE0""#, #"{"\uD800":1}"#,
    ]

    @Test("what RFC 8259 allows is accepted", arguments: accepted)
    func accepts(_ text: String) {
        #expect(throws: Never.self) { try JSONValue(parsing: text) }
    }

    @Test("what RFC 8259 forbids is refused, with a place within the text", arguments: refused)
    func refuses(_ text: String) throws {
        let error = try #require(throws: JSONError.self) { try JSONValue(parsing: text) }
        #expect(0...text.utf8.count ~= error.offset)
        #expect(!error.reason.isEmpty)
    }

    /// RFC 3629 §3 and §10.
    static let invalidUTF8: [[UInt8]] = [
        [0x80], [0xBF], [0xC0, 0x80], [0xC0, 0xAF], [0xC1, 0xBF], [0xC2], [0xC2, 0x20], [0xC2, 0xC2],
        [0xE0, 0x80, 0x80],
        [0xE0, 0x9F, 0xBF], [0xE0, 0xA0], [0xE1, 0x80], [0xE1, 0x80, 0x41], [0xE2, 0x82], [0xED, 0xA0, 0x80],
        [0xED, 0xBF, 0xBF], [0xEF, 0xBF], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x90, 0x80],
        [0xF1, 0x80, 0x80, 0x41], [0xF4, 0x90, 0x80, 0x80], [0xF4, 0xBF, 0xBF, 0xBF], [0xF5, 0x80, 0x80, 0x80],
        [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFC, 0x84, 0x80, 0x80, 0x80, 0x80], [0xFE], [0xFF], [0xFF, 0xFE],
        [0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80],
    ]

    @Test("invalid UTF-8 is refused wherever it stands", arguments: invalidUTF8)
    func refusesInvalidUTF8(_ bytes: [UInt8]) {
        let quote: [UInt8] = [0x22]
        for padding in 0..<9 {
            let text = quote + Array(repeating: 0x61, count: padding) + bytes
            for tail in [quote, [0x61] + quote, Array(repeating: 0x61, count: 8) + quote, []] {
                #expect(throws: JSONError.self) { try JSONValue(parsing: text + tail) }
            }
        }
        #expect(throws: JSONError.self) { try JSONValue(parsing: bytes + Array("[]".utf8)) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: Array("{\"".utf8) + bytes + Array("\":1}".utf8)) }
    }

    @Test("what RFC 8259 leaves open is decided so: too large a float is refused, too small a one is zero")
    func numbersOutOfRange() throws {
        #expect(throws: JSONError.self) { try JSONValue(parsing: "1e400") }
        #expect(throws: JSONError.self) { try JSONValue(parsing: "[-1e9999]") }
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "1", count: 1025)) }
        #expect(try JSONValue(parsing: "1e-400") == .number(0))
        #expect(try JSONValue(parsing: "9223372036854775807") == .integer(.max))
        #expect(try JSONValue(parsing: "-9223372036854775808") == .integer(.min))
        #expect(try JSONValue(parsing: "9223372036854775808") == .number(9223372036854775808))
        #expect(try JSONValue(parsing: "-0") == .integer(0))
        #expect(try JSONValue(parsing: "1.0") == .number(1))
    }

    @Test("64 levels are the deepest")
    func depth() throws {
        func nested(_ open: String, _ close: String, _ count: Int) -> String {
            String(repeating: open, count: count) + "1" + String(repeating: close, count: count)
        }
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            #expect(throws: Never.self) { try JSONValue(parsing: nested(open, close, 64)) }
            #expect(throws: JSONError.self) { try JSONValue(parsing: nested(open, close, 65)) }
            #expect(throws: JSONError.self) { try JSONValue(parsing: nested(open, close, 100_000)) }
        }
        #expect(throws: Never.self) { try JSONValue(parsing: "[" + String(repeating: "[],", count: 200) + "[]]") }
    }

    static let duplicates: [String] = [
        #"{"a":1,"a":1}"#, #"{"a":1,"\u0061":2}"#, #"{"\u0061":1,"\u0061":2}"#, #"{"a":1,"b":2,"a":3}"#,
        #"{"":1,"":2}"#, #"{"x":{"a":1,"a":2}}"#, #"[{"a":1,"a":2}]"#, #"{"x":[[{"a":1,"b":{},"a":2}]]}"#,
        #"{"é":1,"\u00e9":2}"#, #"{"😀":1,"\ud83d\ude00":2}"#, #"{"/":1,"\/":2}"#, #"{"\"":1,"\u0022":2}"#,
        #"{"a":{"b":1},"a":{"c":1}}"#, #"{"x":{"aé":1,"a\u00e9":2}}"#,
    ]

    @Test("a key given twice is refused, however it is written and wherever it stands", arguments: duplicates)
    func refusesDuplicates(_ text: String) throws {
        let error = try #require(throws: JSONError.self) { try JSONValue(parsing: text) }
        #expect(error.reason == "a key is given twice")
        var scanner = JSONScanner()
        var table: [JSONMember] = []
        guard text.hasPrefix("{") else { return }
        #expect(throws: error) { try withBytes(text) { try scanner.members(of: $0, into: &table) } }
    }

    @Test("a key given twice is found among many", arguments: [2, 8, 9, 100, 1000, 1024])
    func duplicatesAmongMany(_ count: Int) {
        let keys = (0..<count).map { "\"key\($0)\":\($0)" }
        #expect(throws: Never.self) { try JSONValue(parsing: "[{\(keys.joined(separator: ","))}]") }
        for place in [0, (count - 1) / 2, count - 2] {
            var twice = keys
            twice[count - 1] = "\"\\u006bey\(place)\":0"
            #expect(throws: JSONError.self) { try JSONValue(parsing: "[{\(twice.joined(separator: ","))}]") }
        }
    }

    @Test("keys of one object may return in another, within it or after it")
    func sameKeyElsewhere() throws {
        let text = #"{"a":{"a":{"a":1},"b":{"a":2}},"b":[{"a":1},{"a":2}]}"#
        #expect(try JSONValue(parsing: text).text == text)
    }

    @Test("an object has at most 1024 members, a key at most 1024 bytes")
    func bounds() {
        let members = (0...1024).map { "\"\($0)\":0" }.joined(separator: ",")
        #expect(throws: JSONError.self) { try JSONValue(parsing: "[{\(members)}]") }
        let key = String(repeating: "k", count: 1024)
        #expect(throws: Never.self) { try JSONValue(parsing: "{\"\(key)\":1}") }
        #expect(throws: JSONError.self) { try JSONValue(parsing: "{\"\(key)k\":1}") }
    }

    static let faults: [(String, Int, String)] = [
        ("", 0, "the text ends too early"), ("{\"a\":1", 6, "the text ends too early"),
        ("[1 2]", 3, "expected a comma or ]"),
        ("{\"a\":1 2}", 7, "expected a comma or }"), ("{\"a\" 1}", 5, "expected a colon"),
        ("{a:1}", 1, "expected a key in quotes"), ("[01]", 1, "a number begins with zero"),
        ("\"a\nb\"", 2, "a control character in a string"), ("{} x", 3, "more text after the end"),
        ("[x]", 1, "expected a value"), ("\"ab\\q\"", 3, "an unknown escape in a string"),
        ("{\"a\":0,\"a\":0}", 8, "a key is given twice"), ("[1.]", 3, "expected a digit"),
    ]

    @Test("an error says where and what", arguments: faults)
    func namesTheFault(_ text: String, _ offset: Int, _ reason: String) {
        #expect(throws: JSONError(offset: offset, reason: reason)) { try JSONValue(parsing: text) }
    }
}
