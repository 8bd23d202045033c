// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage

/// One line for judge.py: what the reader of a message must find.
struct Expectation {
    let line: String

    init(_ word: String, _ values: [[UInt8]]) {
        let hexadecimal = values.map { value in
            value.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        }
        line = ([word] + hexadecimal).joined(separator: " ")
    }

    init(_ word: String, _ values: String...) { self.init(word, values.map { Array($0.utf8) }) }

    static func all(of fields: MessageFields) -> [Expectation] {
        var all = [Expectation("absent", "Bcc"), Expectation("header", "MIME-Version", "1.0")]
        for (name, list) in [
            ("From", [fields.from]), ("To", fields.to), ("Cc", fields.cc), ("Reply-To", fields.replyTo),
        ] {
            all.append(Expectation(name, list.map(addressed)))
        }
        let addresses = ([fields.from] + fields.to + fields.cc + fields.replyTo).map {
            String(decoding: addressed($0), as: UTF8.self)
        }
        if addresses.contains(where: {
            $0.split(separator: "\n", omittingEmptySubsequences: false).dropFirst().contains {
                !$0.utf8.allSatisfy { $0 < 0x80 }
            }
        }) {
            all.append(Expectation("smtputf8"))
        }
        if let subject = fields.subject { all.append(Expectation("header", "Subject", subject)) }
        for (name, value) in fields.headers where name != "Date" { all.append(Expectation("header", name, value)) }
        if let text = fields.text { all.append(Expectation("plain", [unified(text)])) }
        if let html = fields.html { all.append(Expectation("html", [unified(html)])) }
        return all + fields.attachments.map(file)
    }

    /// Name, local part without quotes and domain, one a line.
    private static func addressed(_ text: String) -> [UInt8] {
        guard let mailbox = try? Mailbox(parsing: text) else { return [] }
        var local = mailbox.localPart
        if local.hasPrefix("\"") {
            local = String(local.dropFirst().dropLast()).replacing("\\\"", with: "\"").replacing("\\\\", with: "\\")
        }
        return Array("\(mailbox.displayName ?? "")\n\(local)\n\(mailbox.domain)".utf8)
    }

    /// All line ends as LF.
    private static func unified(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var previous: UInt8 = 0
        for byte in text {
            if byte == 0x0D { result.append(0x0A) } else if byte != 0x0A || previous != 0x0D { result.append(byte) }
            previous = byte
        }
        return result
    }

    private static func file(_ file: Attachment) -> Expectation {
        let type = String(file.contentType.split(separator: ";")[0]).lowercased()
        return Expectation(
            "file", [Array((file.name ?? "").utf8), Array(type.utf8), Array((file.contentID ?? "").utf8), file.data])
    }
}
