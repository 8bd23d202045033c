// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import Testing

@Suite("Addresses in the header")
struct AddressFieldTests {
    @Test(
        "RFC 5322 §3.2.5: a display name goes as atoms, in quotes or encoded",
        arguments: [
            ("Ann Example <u@e.org>", "Ann Example <u@e.org>"),
            ("<u@e.org>", "u@e.org"),
            ("\"Ann, E.\" <u@e.org>", "\"Ann, E.\" <u@e.org>"),
            ("J. Q. Public <u@e.org>", "\"J. Q. Public\" <u@e.org>"),
            (#""a \"b\" \\" <u@e.org>"#, #""a \"b\" \\" <u@e.org>"#),
            ("u@e.org <u@e.org>", "\"u@e.org\" <u@e.org>"),
            ("\"two  blanks\" <u@e.org>", "\"two  blanks\" <u@e.org>"),
            ("Jörg <u@e.org>", "=?utf-8?q?J=C3=B6rg?= <u@e.org>"),
            ("日本 <u@e.org>", "=?utf-8?b?5pel5pys?= <u@e.org>"),
            ("=?x?= <u@e.org>", "=?utf-8?b?PT94Pz0=?= <u@e.org>"),
            (#""a b"@e.org"#, #""a b"@e.org"#),
            ("Ann <u@[192.0.2.1]>", "Ann <u@[192.0.2.1]>"),
        ])
    func displayNames(address: String, field: String) throws {
        #expect(try Lines(.sample { $0.from = address }).field("From") == field)
    }

    @Test("RFC 2047 §5: an encoded word never stands within a quoted string or an address")
    func neverQuoted() throws {
        let lines = try Lines(.sample { $0.to = ["\"Müller, \\\"Jo\\\"\" <jo@e.org>"] })
        #expect(lines.field("To") == "=?utf-8?q?M=C3=BCller=2C_=22Jo=22?= <jo@e.org>")
    }

    @Test("200 recipients fold at 78 octets, none is lost or broken")
    func recipients() throws {
        let plain = (1...200).map { "recipient.number.\($0)@department-\($0).example.com" }
        let named = (1...200).map { "Recipient Number \($0) <recipient.\($0)@example.com>" }
        let lines = try Lines(
            .sample {
                $0.to = plain
                $0.cc = named
            })
        #expect(lines.field("To")?.split(separator: ", ").map(String.init) == plain)
        #expect(lines.field("Cc")?.split(separator: ", ").map(String.init) == named)
        #expect(lines.header.allSatisfy { $0.utf8.count <= 78 })
    }

    @Test("a name too long for one line is encoded over several")
    func longName() throws {
        let name = String(repeating: "Long ", count: 100) + "Name"
        let lines = try Lines(.sample { $0.to = ["\(name) <u@e.org>", "b@e.org"] })
        #expect(lines.header.allSatisfy { $0.utf8.count <= 78 })
        #expect(lines.header.filter { $0.contains("=?utf-8?q?") }.count > 7)
    }

    @Test("the longest address stays whole")
    func longAddress() throws {
        let address =
            String(repeating: "l", count: 64) + "@"
            + (0..<3).map { _ in String(repeating: "d", count: 62) }.joined(separator: ".")
        let lines = try Lines(.sample { $0.to = ["a@e.org", "Ann <\(address)>", address] })
        #expect(lines.field("To") == "a@e.org, Ann <\(address)>, \(address)")
    }

    @Test("RFC 5322 §2.1.1: many of the longest addresses do not add up to a long line")
    func longAddresses() throws {
        let domain = (0..<3).map { _ in String(repeating: "d", count: 62) }.joined(separator: ".")
        let addresses = (10..<60).map { "\($0)\(String(repeating: "l", count: 62))@\(domain)" }
        let lines = try Lines(.sample { ($0.to, $0.cc) = (addresses, addresses.map { "Ann <\($0)>" }) })
        #expect(lines.field("To") == addresses.joined(separator: ", "))
        #expect(lines.lineLengths.allSatisfy { $0 < 300 })
    }

    @Test("RFC 5322 §3.6.3: where all recipients are blind, To is an empty group")
    func undisclosed() throws {
        let lines = try Lines(.sample { $0.to = [] })
        #expect(lines.field("To") == "undisclosed-recipients:;")
        #expect(try Lines(.sample { ($0.to, $0.cc) = ([], ["c@e.org"]) }).field("To") == nil)
    }

    @Test("RFC 6531 §3.1: only a local part beyond ASCII needs SMTPUTF8, for RFC 5890 has a form for the domain")
    func smtpUTF8() throws {
        #expect(try Lines(.sample { $0.to = ["δοκιμή@e.org"] }).needsSMTPUTF8)
        let domain = try Lines(.sample { $0.to = ["Ann <a@bücher.example>"] })
        #expect(domain.field("To") == "Ann <a@xn--bcher-kva.example>" && !domain.needsSMTPUTF8)
        let named = try Lines(.sample { ($0.from, $0.subject) = ("Jörg <u@e.org>", "Grüße") })
        #expect(!named.needsSMTPUTF8 && named.bytes.allSatisfy { $0 < 0x80 })
    }

    @Test("a wrong address is named with its field", arguments: ["a@", "", "a@b, c@d", "Ann"])
    func wrong(address: String) throws {
        let reason = "\"\(address)\""
        for (field, fields) in [
            ("from", MessageFields.sample { $0.from = address }), ("to", .sample { $0.to = ["a@b", address] }),
            ("cc", .sample { $0.cc = [address] }), ("reply_to", .sample { $0.replyTo = [address] }),
        ] {
            let error = try #require(refusal(fields))
            #expect(error.field == field && error.reason.hasPrefix(reason))
        }
    }
}
