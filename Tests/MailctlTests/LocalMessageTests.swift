// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite("A message from a program of this machine") struct LocalMessageTests {
    private func completed(_ text: String) -> String {
        var message = LocalMessage(Array(text.utf8))
        message.complete(author: "Ann <ann@app.example>", domain: "app.example")
        return String(decoding: message.bytes, as: UTF8.self)
    }

    @Test(
        "what it lacks is put in, and the rest stays",
        arguments: [
            (
                "To: bob\nSubject: hi\n\ntext\n",
                "To: bob@app.example\nSubject: hi\nFrom: Ann <ann@app.example>\n\ntext\n"
            ),
            (
                "From: root (Cron Daemon)\nTo: root\nSubject: x\n\ny\n",
                "From: root@app.example (Cron Daemon)\nTo: root@app.example\nSubject: x\n\ny\n"
            ),
            (
                "no header at all\nfrom here\n",
                "From: Ann <ann@app.example>\nTo: undisclosed-recipients:;\n\nno header at all\nfrom here\n"
            ),
            (
                "From ann Mon Nov 23\nFrom: a@b.example\nBcc: c@d\nTo: e@f,\n g\n\nx",
                "From: a@b.example\nTo: e@f,\n g@app.example\n\nx"
            ),
            ("From: a@b\r\nTo: c@d\r\n\r\nx\r\n", "From: a@b\nTo: c@d\n\nx\r\n"),
        ])
    func complete(text: String, whole: String) { #expect(completed(text) == whole) }

    @Test("the header's recipients, or those it is sent on to")
    func recipients() {
        let message = LocalMessage(Array("To: Ann <a@x>, bob\nCc: g: c@x, \"d,e\" <d@x>;\nBcc: e@x (E)\n\n".utf8))
        #expect(message.recipients == ["a@x", "bob", "c@x", "d@x", "e@x"])
        let resent = LocalMessage(Array("To: a@x\nResent-To: b@x\n\n".utf8))
        #expect(resent.recipients == ["b@x"])
    }

    @Test(
        "addresses are found where they stand",
        arguments: [
            ("ann", ["ann"], "ann@d"), ("a@x, b", ["a@x", "b"], "a@x, b@d"),
            ("Ann B <ann>", ["ann"], "Ann B <ann@d>"), ("\"x, y\" <z@q> , w", ["z@q", "w"], "\"x, y\" <z@q> , w@d"),
            ("a (c, (d) e) , b", ["a", "b"], "a@d (c, (d) e) , b@d"), ("a @ x", ["a@x"], "a @ x"),
            ("\"a b\"@x", ["\"a b\"@x"], "\"a b\"@x"), ("<@r,@s:a@x>", ["a@x"], "<@r,@s:a@x>"), ("<>", [], "<>"),
            ("list:;", [], "list:;"), ("", [], ""), ("a@[192.0.2.1]", ["a@[192.0.2.1]"], "a@[192.0.2.1]"),
            ("two words", ["two words"], "two words"), ("a@b c", ["a@b c"], "a@b c"), ("(only", [], "(only"),
            ("<a", ["a"], "<a@d"),
        ])
    func addresses(value: String, found: [String], qualified: String) {
        let field = AddressField(Array(value.utf8))
        #expect(field.addresses.map(\.text) == found)
        #expect(String(decoding: field.qualified("d"), as: UTF8.self) == qualified)
    }

    @Test(
        "a name becomes a phrase",
        arguments: [
            ("", "a@b"), ("Ann Example", "Ann Example <a@b>"), ("Ann \"E\" X.", "\"Ann \\\"E\\\" X.\" <a@b>"),
            ("Jörg", "=?UTF-8?B?SsO2cmc=?= <a@b>"), ("x\nBcc: y", "\"xBcc: y\" <a@b>"),
        ])
    func author(name: String, field: String) { #expect(LocalMessage.author(name, "a@b") == field) }

    @Test("bytes that are no UTF-8 become quoted-printable of the same character set")
    func latin1() {
        let text =
            Array("Subject: caf".utf8) + [0xE9] + Array("\nContent-Type: text/plain; charset=iso-8859-1\n\n".utf8)
        let whole = SevenBit.message(text + Array("d\u{e9}j".utf8.prefix(1)) + [0xE9, 0x6A, 0xE0, 0x0A])
        let shown = String(decoding: whole, as: UTF8.self)
        #expect(
            shown == """
                Subject: =?unknown-8bit?Q?caf=E9?=
                Content-Type: text/plain; charset=iso-8859-1
                Content-Transfer-Encoding: quoted-printable
                MIME-Version: 1.0

                d=E9j=E0

                """)
    }

    @Test("of a multipart message only the part that needs it is encoded, and no line gets too long")
    func multipart() {
        let long = [UInt8](repeating: 0xE4, count: 60)
        let head =
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\nContent-Transfer-Encoding: 8bit\n\n"
        let parts = "--b\nContent-Type: text/plain\n\nplain\n--b\nContent-Type: text/plain; charset=latin1\n\n"
        let whole = SevenBit.message(Array((head + parts).utf8) + long + Array("\n--b--\n".utf8))
        let lines = String(decoding: whole, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.allSatisfy { $0.utf8.count <= 76 })
        #expect(lines.filter { $0 == "Content-Transfer-Encoding: quoted-printable" }.count == 1)
        #expect(lines.filter { $0 == "Content-Transfer-Encoding: 7bit" }.count == 1)
        #expect(lines.contains("plain") && lines.contains("--b--"))
    }
}
