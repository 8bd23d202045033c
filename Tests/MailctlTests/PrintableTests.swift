// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite struct PrintableTests {
    @Test(
        "control characters are written out, all else stays",
        arguments: [
            ("Grüße 😀 日本", "Grüße 😀 日本"), ("a\u{1B}[2J", "a\\u{1B}[2J"), ("a\r\nb\t", "a\\r\\nb\\t"),
            ("\u{7F}\u{9B}", "\\u{7F}\\u{9B}"), ("\u{202E}\u{2066}", "\\u{202E}\\u{2066}"), ("\u{0}", "\\u{0}"),
        ])
    func text(given: String, safe: String) { #expect(Printable.text(given) == safe) }

    @Test(
        "in JSON they become JSON's own escapes, and line ends between tokens stay",
        arguments: [
            ("{\n  \"a\": \"b\u{7F}\"\n}", "{\n  \"a\": \"b\\u007F\"\n}"), ("\"\u{9B}31m\"", "\"\\u009B31m\""),
            ("\"\u{202E}\"", "\"\\u202E\""), ("\"ü\"", "\"ü\""),
        ])
    func json(given: String, safe: String) { #expect(Printable.json(given) == safe) }
}
