// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailMessage
import Testing

@Suite("Text beyond ASCII in the header follows RFC 2047")
struct EncodedWordTests {
    @Test(
        "only words that need it are encoded, neighbours together",
        arguments: [
            ("Hello Wörld foo", "Hello =?utf-8?q?W=C3=B6rld?= foo"),
            ("Grüße schöner Art", "=?utf-8?q?Gr=C3=BC=C3=9Fe_sch=C3=B6ner?= Art"),
            ("a =?utf-8?q?b?= c", "a =?utf-8?b?PT91dGYtOD9xP2I/PQ==?= c"),
            ("1 + 1 = 2?", "1 + 1 = 2?"),
            (" edge", "=?utf-8?q?_edge?="),
            ("edge ", "=?utf-8?q?edge_?="),
            ("   ", "=?utf-8?q?___?="),
            ("日本語の件名", "=?utf-8?b?5pel5pys6Kqe44Gu5Lu25ZCN?="),
            ("a  ö", "a  =?utf-8?b?w7Y=?="),
        ])
    func words(subject: String, field: String) throws {
        #expect(try Lines(.sample { $0.subject = subject }).field("Subject") == field)
    }

    @Test("§5: emoji over many folds: each word at most 75 characters, whole characters each, lines at most 76")
    func emoji() throws {
        for offset in 0..<12 {
            let text = String(repeating: "x", count: offset) + String(repeating: "👩‍👩‍👧‍👦🇪🇺é", count: 20)
            let lines = try Lines(.sample { $0.subject = text })
            #expect(lines.header.allSatisfy { $0.utf8.count <= 76 })
            let words = try #require(lines.field("Subject")).split(separator: " ")
            #expect(words.count > 5 && words.allSatisfy { $0.utf8.count <= 75 })
            var decoded = ""
            for word in words {
                let octets = try #require(base64(word))
                decoded += try #require(String(validating: octets, as: UTF8.self))
            }
            #expect(decoded == text)
        }
    }

    @Test("a word too long for a line is encoded in a subject, kept in an app's own field")
    func longWords() throws {
        let word = String(repeating: "Donaudampfschiff", count: 60)
        let lines = try Lines(
            .sample {
                $0.subject = "a \(word) b"
                $0.headers = [("X-Word", String(word.prefix(800)))]
            })
        #expect(lines.header.filter { $0.utf8.count > 78 }.count == 1)
        #expect(lines.field("X-Word") == String(word.prefix(800)))
        #expect(lines.field("Subject")?.hasPrefix("a =?utf-8?q?Donaudampf") == true)
    }

    @Test("an app's own encoded words go as given, its words beyond ASCII are encoded")
    func customFields() throws {
        let lines = try Lines(
            .sample { $0.headers = [("X-A", "=?utf-8?q?as_given?="), ("List-Id", "Größen <sizes.example.com>")] })
        #expect(lines.field("X-A") == "=?utf-8?q?as_given?=")
        #expect(lines.field("List-Id") == "=?utf-8?b?R3LDtsOfZW4=?= <sizes.example.com>")
    }

    @Test("a longest name of a field leaves room for encoded words")
    func longFieldName() throws {
        let name = String(repeating: "N", count: 75)
        let lines = try Lines(.sample { $0.headers = [(name, String(repeating: "ü", count: 50))] })
        #expect(lines.header.allSatisfy { $0.utf8.count <= 78 })
        #expect(refusal(.sample { $0.headers = [(name + "N", "x")] })?.field == "headers")
    }

    /// The octets of `=?utf-8?b?…?=`.
    private func base64(_ word: Substring) -> [UInt8]? {
        guard word.hasPrefix("=?utf-8?b?"), word.hasSuffix("?=") else { return nil }
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var bits = 0
        var count = 0
        var result: [UInt8] = []
        for byte in word.dropFirst(10).dropLast(2).utf8 where byte != 0x3D {
            guard let value = alphabet.firstIndex(of: byte) else { return nil }
            bits = (bits << 6 | value) & 0xFFFF
            count += 6
            if count >= 8 {
                count -= 8
                result.append(UInt8(truncatingIfNeeded: bits >> count))
            }
        }
        return result
    }
}
