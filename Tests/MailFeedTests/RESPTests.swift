// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailFeed
import Testing

@Suite struct RESPTests {
    private static let whole: [(String, RESPValue)] = [
        ("+OK\r\n", .string(Array("OK".utf8))),
        ("-NOGROUP No such key\r\n", .error("NOGROUP No such key")),
        (":-42\r\n", .integer(-42)),
        ("$5\r\nhe\r\no\r\n", .string(Array("he\r\no".utf8))),
        ("$0\r\n\r\n", .string([])),
        ("$-1\r\n", .null),
        ("*-1\r\n", .null),
        ("_\r\n", .null),
        ("*0\r\n", .array([])),
        ("*2\r\n:1\r\n*1\r\n+a\r\n", .array([.integer(1), .array([.string([0x61])])])),
        ("%1\r\n+a\r\n:1\r\n", .array([.string([0x61]), .integer(1)])),
        ("~1\r\n#t\r\n", .array([.bool(true)])),
        (",1.5\r\n", .double(1.5)),
        ("(12345678901234567890\r\n", .string(Array("12345678901234567890".utf8))),
        ("=8\r\ntxt:text\r\n", .string(Array("text".utf8))),
        ("!3\r\nERR\r\n", .error("ERR")),
        ("|1\r\n+ttl\r\n:3\r\n:7\r\n", .integer(7)),
        ("*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n", .array([.integer(1), .integer(2)])),
        ("*2\r\n*0\r\n%0\r\n", .array([.array([]), .array([])])),
    ]

    @Test(arguments: whole.indices)
    func everyTypeIsReadHoweverItIsCut(index: Int) throws {
        let (text, value) = Self.whole[index]
        let bytes = Array((text + text).utf8)
        for cut in 1...bytes.count {
            var parser = RESPParser()
            var values: [RESPValue] = []
            for start in stride(from: 0, to: bytes.count, by: cut) {
                parser.append(bytes[start..<min(start + cut, bytes.count)])
                while let next = try parser.next() { values.append(next) }
            }
            #expect(values == [value, value], "cut every \(cut) bytes")
        }
    }

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n", "$x\r\n", "$-2\r\n", "*99999999999\r\n", ":one\r\n", "\r\n",
        "$999999999999\r\n",
        String(repeating: "*1\r\n", count: 40), String(repeating: "+", count: 100_000),
    ])
    func whatIsNotTheProtocolIsAnError(text: String) {
        var parser = RESPParser()
        parser.append(Array(text.utf8))
        #expect(throws: RESPParser.Fault.self) { while try parser.next() != nil {} }
    }

    @Test func aCommandIsAnArrayOfStrings() {
        #expect(String(decoding: RESPCommand.bytes(["XACK", "s"]), as: UTF8.self) == "*2\r\n$4\r\nXACK\r\n$1\r\ns\r\n")
    }
}

@Suite struct StreamEntryTests {
    private func parse(_ text: String) throws -> RESPValue {
        var parser = RESPParser()
        parser.append(Array(text.utf8))
        return try #require(try parser.next())
    }

    private static let entry = "*2\r\n$3\r\n5-1\r\n*2\r\n$3\r\njob\r\n$2\r\n{}\r\n"

    @Test(arguments: ["%1\r\n$1\r\ns\r\n*1\r\n", "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n"])
    func bothProtocolsHandOverTheSameEntries(head: String) throws {
        let entries = StreamEntry.entries(reply: try parse(head + Self.entry))
        #expect(entries.map(\.id) == [StreamID(milliseconds: 5, number: 1)])
        #expect(entries.first?.body(field: "job") == Array("{}".utf8))
        // A single field is the job, whatever it is called.
        #expect(entries.first?.body(field: "other") == Array("{}".utf8))
    }

    @Test(arguments: ["_\r\n", "*-1\r\n", "%1\r\n$1\r\ns\r\n*0\r\n"])
    func nothingIsNothing(reply: String) throws {
        #expect(StreamEntry.entries(reply: try parse(reply)).isEmpty)
    }

    @Test func anEntryThatWasDeletedHasNoFields() throws {
        let entry = StreamEntry(try parse("*2\r\n$3\r\n5-1\r\n*-1\r\n"))
        #expect(entry?.id.description == "5-1")
        #expect(entry?.fields == nil)
    }

    @Test func idsSortByTheirNumbers() {
        #expect(
            ["10-0", "9-11", "9-2"].compactMap { StreamID($0) }.sorted().map(\.description) == ["9-2", "9-11", "10-0"])
        for text in ["", "5", "5-", "a-1", "5-1-1", "-1", "18446744073709551616-0", "1-99999999999999999999"] {
            #expect(StreamID(text) == nil)
        }
        #expect(StreamID("18446744073709551615-1")?.milliseconds == .max)
    }
}
