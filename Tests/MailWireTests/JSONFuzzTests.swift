// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire
import Testing

/// Broken texts by the ten thousand, the same ones each time: SplitMix64 from a seed.
private struct Dice: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

@Suite struct JSONFuzzTests {
    static let seeds: [String] = [
        #"{"to":"a@example.com","from":"app@example.org","subject":"hi","content":"text"}"#,
        #"{"to":["Ann <a@example.com>","b@b.c"],"from":"\u0061pp@b.c","headers":{"X-A":"é","X-B":"😀\n"}}"#,
        #" { "a" : [ 1 , -2.5e+3 , true , false , null , "\ud83d\ude00" ] , "b" : { "c" : { } , "d" : [ ] } } "#,
        job(
            #""type":"email","ref":"r-1","priority":9,"delay":0.5,"expires_at":"2026-11-24T12:00:00Z","max_attempts":3"#
        ),
        #"{"raw":"A: b\r\n","envelope":{"from":"","to":["a@b.c"]}}"#,
        job(#""attachments":[{"name":"x","data":"QUJD","cid":"a\/b"},{"data":"\/w==","name":"y"}]"#),
        #"{"0":0,"1":1,"2":2,"3":{"0":0,"1":1,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8,"9":9}}"#,
    ]

    private static let pieces: [[UInt8]] =
        ["\"", "\\", "{", "}", "[", "]", ":", ",", "0", "-", ".", "e", "\\u", "\\uD83D", "\\uDE00", "null", " ", "\n"]
        .map { Array($0.utf8) } + [[0], [0x1F], [0x7F], [0x80], [0xC3], [0xC3, 0xA9], [0xED, 0xA0, 0x80], [0xFF]]

    private static func mutated(_ text: [UInt8], _ dice: inout Dice) -> [UInt8] {
        var text = text
        for _ in 0..<Int.random(in: 1...4, using: &dice) {
            let place = Int.random(in: 0...text.count, using: &dice)
            let end = min(text.count, place + Int.random(in: 0...6, using: &dice))
            switch Int.random(in: 0..<5, using: &dice) {
            case 0: text.removeSubrange(place..<end)
            case 1: text.insert(contentsOf: pieces.randomElement(using: &dice) ?? [], at: place)
            case 2: text.replaceSubrange(place..<end, with: pieces.randomElement(using: &dice) ?? [])
            case 3: text.insert(contentsOf: Array(text[place..<end]), at: Int.random(in: 0...text.count, using: &dice))
            default: if place < text.count { text[place] = UInt8.random(in: 0...255, using: &dice) }
            }
        }
        return text
    }

    @Test("the table and the tree agree on every broken text, and writing the tree loses nothing", arguments: 0..<8)
    func agreement(_ seed: UInt64) {
        var dice = Dice(state: seed)
        var scanner = JSONScanner()
        var accepted = 0
        for round in 0..<2500 {
            let text = Self.mutated(Array(Self.seeds[round % Self.seeds.count].utf8), &dice)
            let shown = "seed \(seed), round \(round): \(String(decoding: text, as: UTF8.self))"
            withBytes(text) { bytes in
                guard let table = Self.table(of: bytes, &scanner) else {
                    let tree = try? JSONValue(parsing: bytes)
                    #expect(tree?.object == nil, "only the tree took it; \(shown)")
                    return
                }
                accepted += 1
                Self.compare(table, bytes, shown)
            }
        }
        // Some survive; if none did, nothing would have been compared.
        #expect(accepted > 100)
    }

    private static func table(of bytes: UnsafeRawBufferPointer, _ scanner: inout JSONScanner) -> [JSONMember]? {
        var table: [JSONMember] = []
        do throws(JSONError) {
            try scanner.members(of: bytes, into: &table)
            return table
        } catch {
            #expect(0...bytes.count ~= error.offset)
            return nil
        }
    }

    private static func compare(_ table: [JSONMember], _ bytes: UnsafeRawBufferPointer, _ shown: String) {
        do throws(JSONError) {
            let tree = try JSONValue(parsing: bytes)
            let members = tree.object?.members ?? []
            #expect(members.map(\.key) == table.map { $0.keyString(in: bytes) }, "\(shown)")
            for (member, place) in zip(members, table) {
                #expect(try member.value == JSONValue(place, in: bytes), "\(shown)")
            }
            #expect(try JSONValue(parsing: tree.text) == tree, "\(shown)")
            #expect(try JSONValue(parsing: tree.prettyText) == tree, "\(shown)")
        } catch {
            // The table keeps a number as its digits; only the tree finds it out of range.
            #expect(error.reason == "a number is out of range", "only the table took it; \(shown)")
        }
    }

    @Test("every beginning of a text is refused or whole")
    func truncation() {
        for seed in Self.seeds {
            let text = Array(seed.utf8)
            let last = (text.lastIndex(of: 0x7D) ?? 0) + 1
            for count in 0..<last {
                #expect(throws: JSONError.self, "\(seed.prefix(count))") {
                    try withBytes(Array(text[..<count])) { try JSONValue(parsing: $0) }
                }
            }
        }
    }

    @Test("whatever the line, a reader takes it or says why not, and what it takes can be decoded", arguments: 0..<8)
    func jobs(_ seed: UInt64) {
        var dice = Dice(state: seed &+ 1000)
        var reader = JobReader(schemas: [EmailSchema()], limits: JobLimits())
        var taken = 0
        for round in 0..<2500 {
            let line = Self.mutated(Array(Self.seeds[round % Self.seeds.count].utf8), &dice)
            let shown = "seed \(seed), round \(round): \(String(decoding: line, as: UTF8.self))"
            withBytes(line) { bytes in
                do throws(WireError) {
                    _ = try reader.read(bytes, now: noon)
                    taken += 1
                    #expect(throws: Never.self, "\(shown)") { try EmailFields(bytes) }
                } catch {
                    var answer: [UInt8] = []
                    error.write(to: &answer)
                    #expect(WireError(answer: (try? JSONValue(parsing: answer)) ?? nil) == error, "\(shown)")
                }
            }
        }
        #expect(taken > 10)
    }
}
