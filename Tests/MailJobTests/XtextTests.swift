// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Testing

@Suite("Text in parameters")
struct XtextTests {
    @Test(
        "RFC 3461 §4: what is no printable ASCII, and + and =, becomes + and two capital digits",
        arguments: [
            ("", ""), ("plain-1", "plain-1"), ("a+b=c", "a+2Bb+3Dc"), ("a b", "a+20b"), ("\t\u{7F}", "+09+7F"),
            ("é", "+C3+A9"), ("<>\"\\;", "<>\"\\;"),
        ])
    func xtext(text: String, encoded: String) {
        #expect(Xtext.encode(text) == encoded)
    }

    @Test(
        "RFC 6533 §3: beyond ASCII by code points, in capitals and at least two digits",
        arguments: [
            ("a@b", "a@b"), ("é", "\\x{E9}"), ("a\\b", "a\\x{5C}b"), ("a+b=", "a\\x{2B}b\\x{3D}"), (" ", "\\x{20}"),
            ("€", "\\x{20AC}"), ("😀", "\\x{1F600}"), ("\t", "\\x{09}"),
        ])
    func international(text: String, encoded: String) {
        #expect(Xtext.encodeInternational(text) == encoded)
    }
}
