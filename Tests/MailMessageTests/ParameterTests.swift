// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailMessage
import Testing

@Suite("File names follow RFC 2183 and RFC 2231")
struct ParameterTests {
    private func disposition(_ name: String?) throws -> (lines: [Substring], whole: String) {
        let message = try Lines(.sample { $0.attachments = [Attachment(name: name, data: [])] })
        let lines = message.body.split(separator: "\r\n")
        let start = try #require(lines.firstIndex { $0.hasPrefix("Content-Disposition") })
        let folds = lines[(start + 1)...].prefix { $0.hasPrefix(" ") }
        return ([lines[start]] + folds, lines[start] + folds.joined())
    }

    @Test(
        "a plain name goes in quotes, any other percent-encoded",
        arguments: [
            ("report.pdf", "filename=\"report.pdf\""), ("a b.txt", "filename=\"a b.txt\""),
            ("a\"b\\c/d.txt", #"filename="a\"b\\c/d.txt""#), ("../../etc/passwd", "filename=\"../../etc/passwd\""),
            ("übersicht.pdf", "filename*=utf-8''%C3%BCbersicht.pdf"), ("a'b%*é", "filename*=utf-8''a%27b%25%2A%C3%A9"),
            ("=?utf-8?q?x?=", "filename*=utf-8''%3D%3Futf-8%3Fq%3Fx%3F%3D"),
        ])
    func names(name: String, parameter: String) throws {
        #expect(try disposition(name).whole == "Content-Disposition: attachment; \(parameter)")
    }

    @Test(
        "RFC 2047 §5: no encoded word stands in a parameter, nor what looks like one",
        arguments: ["é", "=?utf-8?q?x?="])
    func noEncodedWords(name: String) throws {
        #expect(try !disposition(name).whole.contains("=?"))
    }

    @Test("without a name there is no parameter", arguments: [nil, ""] as [String?])
    func nameless(name: String?) throws {
        #expect(try disposition(name).whole == "Content-Disposition: attachment")
    }

    @Test("RFC 2231 §3: a long name is numbered in pieces of whole characters, each line at most 78 octets")
    func longNames() throws {
        for name in [String(repeating: "long name ", count: 30), String(repeating: "é漢👍", count: 40)] {
            let (lines, _) = try disposition(name)
            #expect(lines.count > 3 && lines.allSatisfy { $0.utf8.count <= 78 })
            #expect(lines[1].hasPrefix(" filename*0*=utf-8''") && lines[2].hasPrefix(" filename*1*="))
            var decoded = ""
            for line in lines.dropFirst() {
                let value = try #require(line.split(separator: "=").last).split(separator: "''").last ?? ""
                decoded += try #require(String(validating: percentDecoded(value), as: UTF8.self))
            }
            #expect(decoded == name)
        }
    }

    private func percentDecoded(_ text: Substring) -> [UInt8] {
        var result: [UInt8] = []
        var rest = text.utf8.filter { $0 != 0x3B }[...]
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                result.append(byte)
                continue
            }
            result.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) ?? 0)
            rest = rest.dropFirst(2)
        }
        return result
    }
}
