// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Testing

@Suite("Internationalised domains")
struct IDNATests {
    @Test(
        "RFC 5891: a name in letters of any script has an ASCII form",
        arguments: [
            ("example.org", "example.org"), ("Example.ORG", "Example.ORG"), ("bücher.example", "xn--bcher-kva.example"),
            ("mail.straße.example", "mail.xn--strae-oqa.example"), ("faß.de", "xn--fa-hia.de"),
            ("παράδειγμα.δοκιμή", "xn--hxajbheg2az3al.xn--jxalpdlp"), ("βόλος.com", "xn--nxasmm1c.com"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"), ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
            ("उदाहरण.परीक्षा", "xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g"), ("실례.테스트", "xn--9n2bp8q.xn--9t4b11yi5a"),
            ("مثال.إختبار", "xn--mgbh0fb.xn--kgbechtv"), ("דוגמה.טעסט", "xn--6dbbec0c.xn--deba0ad"),
            ("ශ්‍රී.com", "xn--10cl1a0b660p.com"), ("l·l.cat", "xn--ll-0ea.cat"), ("例・え.jp", "xn--r8j8t907e.jp"),
        ])
    func forms(domain: String, ascii: String) throws { #expect(try IDNA.ascii(domain) == ascii) }

    @Test(
        "RFC 5895 §2: capitals, full-width letters, composed accents and other dots are mapped first",
        arguments: [
            ("BÜCHER.Example", "xn--bcher-kva.example"), ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("ｂücher．example", "xn--bcher-kva.example"), ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("bücher｡example", "xn--bcher-kva.example"), ("ΒΌΛΟΣ.com", "xn--nxasmq6b.com"),
            ("ü.xn--BCHER-KVA", "xn--tda.xn--bcher-kva"), ("\u{1112}\u{1161}\u{11AB}.kr", "xn--6q8b.kr"),
        ])
    func mapped(domain: String, ascii: String) throws { #expect(try IDNA.ascii(domain) == ascii) }

    @Test(
        "RFC 5892: what no name may hold is refused by its code point",
        arguments: [
            ("☃.example", "U+2603, which no"), ("a\u{AD}ü.example", "U+00AD, which no"), ("ａ_ü.x", "U+005F, which no"),
            ("ﬁü.x", "U+FB01, which no"), ("ｶü.x", "U+FF76, which no"), ("😀.x", "U+1F600, which no"),
            ("ü\u{A0}.x", "U+00A0, which no"), ("ـا.x", "U+0640, which no"), ("ü\u{378}.x", "U+0378, which no"),
            ("ü\u{1100}.x", "U+1100, which no"), ("ü\u{20D0}.x", "U+20D0, which no"), ("ü²", "U+00B2, which no"),
            ("a·ü.x", "U+00B7 where"), ("ab\u{200D}ü.x", "U+200D where"), ("ü\u{200C}b.x", "U+200C where"),
            ("ü・.x", "U+30FB where"), ("͵a.x", "U+0375 where"), ("a״ü.x", "U+05F4 where"),
            ("ا٠۰.x", "U+0660 where"),
            ("-ü.x", "begins or ends with a hyphen"), ("ü-.x", "begins or ends with a hyphen"),
            ("ab--ü.x", "hyphens in its third and fourth place"), ("\u{301}ü.x", "begins with a combining mark"),
        ])
    func refused(domain: String, reason: String) {
        let fault = fault(of: domain)
        #expect(fault?.contains(reason) == true, "\(fault ?? "accepted")")
        #expect(fault?.unicodeScalars.starts(with: "has a domain whose part \"".unicodeScalars) == true)
    }

    @Test(
        "RFC 5893 §2: directions are not mixed",
        arguments: [
            ("אa.x", "mixes directions: U+0061"), ("aא.x", "does not begin with a letter"),
            ("1א.x", "does not begin with a letter"), ("א-.x", "begins or ends with a hyphen"),
            ("אב.1a", "begins with a digit beside"), ("ا٠1.x", "two kinds of digits"),
        ])
    func direction(domain: String, reason: String) {
        let fault = fault(of: domain)
        #expect(fault?.contains(reason) == true, "\(fault ?? "accepted")")
    }

    @Test(
        "digits and marks stand within a name written from right to left",
        arguments: ["אב1.x", "ا١٢.x", "اَب.x", "א-ב.x", "אב.a1", "ا۱.x"])
    func rightToLeft(domain: String) throws { #expect(try IDNA.ascii(domain).contains("xn--")) }

    @Test("an address has its domain in ASCII, whoever asks")
    func mailbox() throws {
        let mailbox = try Mailbox(parsing: "Ünal <用户@例え.テスト>")
        #expect(mailbox.address == "用户@xn--r8jz45g.xn--zckzah" && mailbox.domain == "xn--r8jz45g.xn--zckzah")
        #expect(try Mailbox(parsing: "a@BÜCHER．example").address == "a@xn--bcher-kva.example")
        #expect(try Mailbox(parsing: "a@ex-ü.b").needsSMTPUTF8 == false)
    }

    @Test(
        "an address whose domain cannot be mapped says so",
        arguments: [
            ("a@☃.example", "\"a@☃.example\" has a domain whose part \"☃\" has U+2603, which no domain name may hold"),
            ("a@ü＠b", "\"a@ü＠b\" has a domain whose part \"ü@b\" has U+0040, which no domain name may hold"),
            ("a@ü.b＿c", "\"a@ü.b＿c\" has a \"_\" where none may stand"),
            ("a@ü．．c", "\"a@ü．．c\" has a dot too many in the domain"),
        ])
    func address(text: String, reason: String) {
        #expect(throws: MailboxError(text, String(reason.dropFirst(text.count + 3)))) { try Mailbox(parsing: text) }
    }

    @Test("RFC 1035 §2.3.4: lengths are those of the ASCII form")
    func lengths() throws {
        #expect(try Mailbox(parsing: "a@\(String(repeating: "a", count: 55))ü.x").domain.utf8.count == 65)
        let reason = "has a part of the domain of more than 63 octets"
        let long = "a@\(String(repeating: "a", count: 56))ü.x"
        #expect(throws: MailboxError(long, reason)) { try Mailbox(parsing: long) }
    }

    private func fault(of domain: String) -> String? {
        do throws(IDNAError) {
            _ = try IDNA.ascii(domain)
            return nil
        } catch {
            return error.reason
        }
    }
}
