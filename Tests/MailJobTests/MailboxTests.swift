// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Testing

@Suite("Mailbox reads the addresses that people write")
struct MailboxTests {
    @Test(
        "name, local part and domain are told apart",
        arguments: [
            ("user@example.com", nil, "user@example.com"),
            ("  user@example.com ", nil, "user@example.com"),
            ("<user@example.com>", nil, "user@example.com"),
            ("Ann Example <user@example.com>", "Ann Example", "user@example.com"),
            ("Ann   Example<user@example.com>", "Ann Example", "user@example.com"),
            ("\"Ann, E.\" <u@e.org>", "Ann, E.", "u@e.org"),
            (#""Ann \"A\" \\ E" <u@e.org>"#, #"Ann "A" \ E"#, "u@e.org"),
            ("\"Ann\" Example <u@e.org>", "Ann Example", "u@e.org"),
            ("\"\" <u@e.org>", nil, "u@e.org"),
            ("\"<\" <u@e.org>", "<", "u@e.org"),
            ("John Q. Public (work) <john@e.org>", "John Q. Public (work)", "john@e.org"),
            ("u@e.org <u@e.org>", "u@e.org", "u@e.org"),
            ("Jürgen Groß <jg@e.org>", "Jürgen Groß", "jg@e.org"),
            ("!#$%&'*+-/=?^_`{|}~@e.org", nil, "!#$%&'*+-/=?^_`{|}~@e.org"),
            ("root@localhost", nil, "root@localhost"),
            ("a@1.2-3.x", nil, "a@1.2-3.x"),
        ] as [(String, String?, String)])
    func parts(text: String, name: String?, address: String) throws {
        let mailbox = try Mailbox(parsing: text)
        #expect(mailbox.displayName == name)
        #expect(mailbox.address == address)
        #expect(!mailbox.needsSMTPUTF8)
    }

    @Test(
        "RFC 5321 §4.1.2: a local part stays quoted only where it must",
        arguments: [
            (#""john"@e.org"#, "john"),
            (#""john.doe"@e.org"#, "john.doe"),
            (#""jo\hn"@e.org"#, "john"),
            (#""john doe"@e.org"#, #""john doe""#),
            (#""a@b"@e.org"#, #""a@b""#),
            (#""a\"b\\c"@e.org"#, #""a\"b\\c""#),
            (#""a..b"@e.org"#, #""a..b""#),
            (#""<a>"@e.org"#, #""<a>""#),
            (#"Ann <"a b"@e.org>"#, #""a b""#),
            (#"""@e.org"#, #""""#),
        ])
    func quotedLocalPart(text: String, localPart: String) throws {
        let mailbox = try Mailbox(parsing: text)
        #expect(mailbox.localPart == localPart)
        #expect(mailbox.domain == "e.org")
    }

    @Test(
        "RFC 5321 §4.1.3: domain literals hold IP addresses",
        arguments: [
            ("a@[192.0.2.1]", "[192.0.2.1]"),
            ("a@[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
            ("a@[ipv6:::1]", "[IPv6:::1]"),
        ])
    func literals(text: String, domain: String) throws {
        #expect(try Mailbox(parsing: text).domain == domain)
    }

    @Test("RFC 6531 §3.1: only a local part beyond ASCII needs SMTPUTF8")
    func international() throws {
        #expect(try Mailbox(parsing: "δοκιμή@παράδειγμα.δοκιμή").needsSMTPUTF8)
        #expect(try Mailbox(parsing: "\"π π\"@e.org").needsSMTPUTF8)
        #expect(try !Mailbox(parsing: "user@bücher.example").needsSMTPUTF8)
        #expect(try Mailbox(parsing: "Ünal <用户@例え.テスト>").address == "用户@xn--r8jz45g.xn--zckzah")
    }

    @Test(
        "what is no address gets its reason",
        arguments: [
            ("", "\"\" is empty"),
            ("   ", "\"   \" is empty"),
            ("a@", "\"a@\" has no domain"),
            ("a", "\"a\" has no domain"),
            ("\"a\"", "\"\"a\"\" has no domain"),
            ("\"a\"b@c", "\"\"a\"b@c\" has no domain"),
            ("<>", "\"<>\" has no domain"),
            ("@b", "\"@b\" has nothing before the \"@\""),
            ("a@b@c", "\"a@b@c\" has more than one \"@\""),
            ("a b@c", "\"a b@c\" has a blank in the address"),
            ("a@b c", "\"a@b c\" has a blank in the address"),
            ("< a@b>", "\"< a@b>\" has a blank in the address"),
            ("a\u{A0}b@c", "\"a\u{A0}b@c\" has a blank in the address"),
            (".a@b", "\".a@b\" has a dot too many before the \"@\""),
            ("a.@b", "\"a.@b\" has a dot too many before the \"@\""),
            ("a..b@c", "\"a..b@c\" has a dot too many before the \"@\""),
            ("a@.b", "\"a@.b\" has a dot too many in the domain"),
            ("a@b.", "\"a@b.\" has a dot too many in the domain"),
            ("a@b..c", "\"a@b..c\" has a dot too many in the domain"),
            ("a@-b", "\"a@-b\" has a part of the domain that begins or ends with a hyphen"),
            ("a@b-.c", "\"a@b-.c\" has a part of the domain that begins or ends with a hyphen"),
            ("a@b_c", "\"a@b_c\" has a \"_\" where none may stand"),
            ("a(x)@b", "\"a(x)@b\" has a \"(\" where none may stand"),
            ("a@b,c@d", "\"a@b,c@d\" has a comma or semicolon; several addresses make a list"),
            ("A <a@b>, C <c@d>", "\"A <a@b>, C <c@d>\" has a \">\" before its end; several addresses make a list"),
            ("A, B <a@b>", "\"A, B <a@b>\" has a comma outside quotes; several addresses make a list"),
            ("A <a@b", "\"A <a@b\" has a \"<\" without a \">\" at the end"),
            ("A <a@b> c", "\"A <a@b> c\" has a \"<\" without a \">\" at the end"),
            ("a@b>", "\"a@b>\" has a \">\" before its end; several addresses make a list"),
            ("\"a@b", "\"\"a@b\" has a quote that is never closed"),
            ("\"a@b\\\"", "\"\"a@b\\\"\" has a quote that is never closed"),
        ])
    func faults(text: String, reason: String) {
        #expect(throws: MailboxError.self) { try Mailbox(parsing: text) }
        #expect(fault(of: text) == reason)
    }

    @Test(
        "RFC 5321 §4.1.3: what stands in brackets and is no IP address is refused",
        arguments: [
            "a@[]", "a@[192.0.2]", "a@[192.0.2.256]", "a@[IPv6:]", "a@[2001:db8::1]", "a@[192.0.2.1", "a@[x:y]",
        ])
    func badLiterals(text: String) {
        #expect(fault(of: text)?.contains("no IP address") == true)
    }

    @Test(
        "CR, LF, NUL and other control characters are refused wherever they stand",
        arguments: ["\r", "\n", "\r\n", "\u{0}", "\t", "\u{1B}", "\u{7F}", "\u{85}"])
    func controls(control: String) {
        for text in ["a\(control)b@c", "a@b\(control)", "A\(control)B <a@b>", "\"A\(control)\" <a@b>", "\(control)a@b"]
        {
            let reason = fault(of: text)
            #expect(reason?.hasSuffix("has a control character") == true)
            #expect(reason?.unicodeScalars.contains { $0.properties.generalCategory == .control } == false)
        }
    }

    @Test("RFC 5321 §4.5.3.1: lengths end where the limits say")
    func lengths() throws {
        let local = String(repeating: "l", count: 64)
        let label = String(repeating: "d", count: 63)
        #expect(try Mailbox(parsing: "\(local)@\(label).x").localPart == local)
        #expect(fault(of: "l\(local)@e.org")?.hasSuffix("has more than 64 octets before the \"@\"") == true)
        #expect(fault(of: "a@d\(label).org")?.hasSuffix("part of the domain of more than 63 octets") == true)
        let domain = "\(label).\(label).\(label)"
        #expect(try Mailbox(parsing: "a@\(domain).\(label.prefix(60))").address.utf8.count == 254)
        #expect(fault(of: "a@\(domain).\(label.prefix(61))")?.hasSuffix("is longer than 254 octets") == true)
        #expect(fault(of: "a@\(domain).\(label).x")?.hasSuffix("domain of more than 255 octets") == true)
    }

    @Test("an offending text is shortened to 80 characters, whole ones")
    func shortened() {
        let text = String(repeating: "é", count: 500)
        let shown = String(repeating: "é", count: 80)
        #expect(fault(of: text) == "\"\(shown)…\" has no domain")
    }

    @Test("isPlainAddress is true for the common address and never where the parser disagrees")
    func plain() throws {
        for text in ["a@b", "ann.example+tag@mail.example.com", "a@x--y.z"] { #expect(isPlain(text)) }
        var state: UInt64 = 42
        let alphabet = Array("abcd1@@.-_ \"é".unicodeScalars)
        var plain = 0
        for _ in 0..<20_000 {
            var text = ""
            for _ in 0..<(1 + next(&state) % 10) {
                text.unicodeScalars.append(alphabet[Int(next(&state) % UInt64(alphabet.count))])
            }
            guard isPlain(text) else { continue }
            plain += 1
            let mailbox = try Mailbox(parsing: text)
            #expect(mailbox.address == text && mailbox.displayName == nil)
        }
        #expect(plain > 100)
    }

    @Test(
        "isPlainAddress leaves everything unusual to the parser",
        arguments: [
            "", "@", "a@", "@b", "a", ".a@b", "a.@b", "a..b@c", "a@b.", "a@-b", "a@b-", "a@b@c", "é@b", "a@é", "<a@b>",
        ])
    func notPlain(text: String) {
        #expect(!isPlain(text))
        #expect(!isPlain("l" + String(repeating: "l", count: 64) + "@b"))
        #expect(!isPlain("a@" + String(repeating: "d", count: 64)))
    }

    private func next(_ state: inout UInt64) -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }

    private func isPlain(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes(Mailbox.isPlainAddress) }

    private func fault(of text: String) -> String? {
        do throws(MailboxError) {
            _ = try Mailbox(parsing: text)
            return nil
        } catch {
            return error.reason
        }
    }
}
