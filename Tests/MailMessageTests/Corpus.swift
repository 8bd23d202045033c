// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage

/// Messages that are awkward to compose, and what a reader must find in each.
enum Corpus {
    static let awkwardTexts: [(name: String, text: String)] = [
        ("empty", ""), ("newline", "\n"), ("newlines", "\n\n\n"), ("blank", " "), ("blanks", "  \n\t\n  "),
        ("no-newline", "text"), ("crlf", "a\r\nb\r\n"), ("lf", "a\nb\n"), ("mixed", "a\r\nb\nc\r\n\nd"),
        ("lone-dots", ".\n..\n.\r\n...\n.a\n."), ("from-lines", "From me\n>From you\nFrom"),
        ("lone-dots-8bit", "é\n.\n..\n.\r\n...\n.a\n."), ("from-lines-8bit", "é\nFrom me\nFrom\nFrom "),
        ("998", String(repeating: "a", count: 998)), ("999", String(repeating: "a", count: 999)),
        ("998-lines", "a\n" + String(repeating: "b", count: 998) + "\r\nc\n"),
        ("long-word", String(repeating: "word", count: 5000)), ("nul", "a\u{0}b"),
        ("control", "\u{1}\u{8}\u{1B}[0m\u{7F}"),
        ("equals", "=\n==\n=3D\n= \n=\t\na=\nmore than 76 characters " + String(repeating: "=", count: 80)),
        (
            "equals-8bit",
            "é =\n==\n=3D\n= \na=" + String(repeating: "=", count: 200) + String(repeating: "x", count: 900)
        ),
        ("trailing", "é \n\t\n a \t \nb\t"), ("latin", "Falsches Üben von Xylophonmusik quält jeden größeren Zwerg"),
        ("cyrillic", String(repeating: "Съешь же ещё этих мягких французских булок. ", count: 40)),
        ("emoji", String(repeating: "👩‍👩‍👧‍👦🇪🇺", count: 100)), ("boundary-like", "--\n--=_\n----\n--=_0--\n"),
        ("bom", "\u{FEFF}text"), ("separators", "a\u{2028}b\u{2029}c\u{85}d\u{B}e\u{C}f"),
        (
            "widths",
            (60..<90).map { String(repeating: "é", count: 1) + String(repeating: "w", count: $0) }.joined(
                separator: "\n")
        ),
    ]

    static let awkwardWords: [(name: String, text: String)] = [
        ("plain", "Hello"), ("empty", ""), ("blank", " "), ("edges", "  both ends  "), ("inner", "a   b    c"),
        ("tab", "a\tb"), ("latin", "Grüße aus Köln"), ("mixed", "one zwei ö three ß four"),
        ("japanese", "これは非常に長い件名であり、複数の符号化された単語に分けられなければなりません。確認してください。"),
        ("emoji", String(repeating: "👩‍👩‍👧‍👦🇪🇺", count: 30)),
        ("emoji-words", String(repeating: "🎉 ", count: 60) + "end"),
        ("long-word", String(repeating: "Donaudampfschiff", count: 80)),
        ("long-words", "a \(String(repeating: "b", count: 76)) \(String(repeating: "c", count: 77)) d"),
        ("many-words", (1...200).map { "word\($0)" }.joined(separator: " ")), ("encoded", "=?utf-8?q?literal?="),
        ("half-encoded", "a =?b c?= d=?e"), ("specials", "()<>[]:;@\\,.\"'`!?=_"), ("quotes", "\"quoted\" 'text'"),
        ("combining", String(repeating: "e\u{301}\u{302}\u{303}", count: 60)), ("rtl", "שלום עולם مرحبا بالعالم"),
        ("width", String(repeating: "x", count: 69)), ("width+1", String(repeating: "x", count: 70)),
        ("width+2", String(repeating: "x", count: 71)), ("wide-blanks", "a" + String(repeating: " ", count: 300) + "b"),
        ("latin1", "\u{E9}\u{A0}\u{AD}"), ("colon", "Re: Bcc: x"),
        ("url", "https://example.org/" + String(repeating: "a/", count: 200)),
    ]

    static let fileNames = [
        "a.txt", "a b.txt", "with \"quotes\".txt", "back\\slash.txt", "../../etc/passwd", "C:\\temp\\x.doc",
        "a;b=c.txt",
        "a'b%20*.txt", "Übersicht 2026.pdf", "文書.docx", "🎉.png", String(repeating: "long name ", count: 25) + ".txt",
        String(repeating: "長い名前", count: 40) + ".txt", "=?utf-8?q?x?=", ".", " lead and trail ", "no-extension",
    ]

    /// Every message with its name and expectations.
    static func messages() throws -> [(name: String, message: ComposedMessage, expect: [Expectation])] {
        var cases: [(String, MessageFields)] = []
        for (name, text) in awkwardTexts { cases += texts(name, Array(text.utf8)) }
        for (name, text) in awkwardWords { cases += words(name, text) }
        cases += files()
        cases += envelopes()
        cases += random(count: 400)
        return try cases.map { ($0, try MessageComposer.compose($1), Expectation.all(of: $1)) }
    }

    private static func texts(_ name: String, _ text: [UInt8]) -> [(String, MessageFields)] {
        let file = Attachment(name: "a.bin", data: text)
        let logo = Attachment(name: "l.png", contentType: "image/png", data: text, contentID: "logo@example.org")
        return [
            ("text-\(name)", .sample { $0.text = text }), ("html-\(name)", .sample { $0.html = text }),
            ("alternative-\(name)", .sample { ($0.text, $0.html) = (text, text) }),
            ("mixed-\(name)", .sample { ($0.text, $0.attachments) = (text, [file]) }),
            ("all-\(name)", .sample { ($0.text, $0.html, $0.attachments) = (text, text, [file, logo]) }),
        ]
    }

    private static func words(_ name: String, _ text: String) -> [(String, MessageFields)] {
        let quoted = text.filter { $0 != "\t" }.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        let address = "\"\(quoted)\" <someone@example.com>"
        return [
            ("subject-\(name)", .sample { $0.subject = text }),
            ("names-\(name)", .sample { ($0.from, $0.to, $0.cc) = (address, ["a@b", address, address], [address]) }),
        ]
    }

    private static func files() -> [(String, MessageFields)] {
        var cases = fileNames.enumerated().map { index, name in
            (
                "file-\(index)",
                MessageFields.sample { $0.attachments = [Attachment(name: name, data: Array(name.utf8))] }
            )
        }
        let types = [
            "text/plain; charset=\"utf-8\"", "image/svg+xml", "text/csv; header=present; x=\"a; b\"", "TEXT/HTML",
        ]
        let all = fileNames.enumerated().map { index, name in
            Attachment(name: name, contentType: types[index % types.count], data: Array(0...UInt8(index)))
        }
        cases.append(("files-all", .sample { ($0.text, $0.attachments) = (Array("see".utf8), all) }))
        for count in [0, 1, 2, 3, 56, 57, 58, 100_000] {
            let data = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            cases.append(("file-of-\(count)", .sample { $0.attachments = [Attachment(name: "b", data: data)] }))
        }
        let mail = Attachment(name: "m.eml", contentType: "message/rfc822", data: Array("A: b\r\n\r\nc\r\n".utf8))
        cases.append(("file-mail", .sample { $0.attachments = [mail] }))
        return cases
    }

    private static func envelopes() -> [(String, MessageFields)] {
        let named = (1...200).map { "\"Recipient, Nummer \($0) ü\" <recipient.\($0)@department-\($0 % 7).example.com>" }
        let unsubscribe =
            "<mailto:u@example.com?subject=unsubscribe>, <https://example.com/u/\(String(repeating: "x", count: 300))>"
        let headers: [(name: String, value: String)] = [
            ("List-Unsubscribe", unsubscribe), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("Auto-Submitted", "auto-generated"), ("In-Reply-To", "<a@b>"), ("X-Text", "Grüße  und mehr"),
            ("References", (1...50).map { "<\($0).message@mail.example.org>" }.joined(separator: " ")),
        ]
        return [
            ("recipients-200", .sample { $0.to = (1...200).map { "recipient.\($0)@example.com" } }),
            ("recipients-200-named", .sample { ($0.to, $0.cc, $0.replyTo) = (named, named, named) }),
            ("headers", .sample { $0.headers = headers }),
            ("own-id", .sample { $0.headers = [("Message-ID", "<own@e.org>"), ("Date", "1 Jan 2027 00:00 -0330")] }),
            ("quoted-local-part", .sample { $0.to = ["\"a b\"@e.org", "\"a@b\"@e.org", "A <\"x\\\"y\"@e.org>"] }),
            ("smtputf8", .sample { $0.to = ["δοκιμή@παράδειγμα.δοκιμή", "Ünal <用户@例え.テスト>"] }),
            ("undisclosed", .sample { $0.to = [] }),
        ]
    }

    /// Subjects, names and texts made of the corpus' awkward pieces, always the same.
    private static func random(count: Int) -> [(String, MessageFields)] {
        var state: UInt64 = 7
        func pick(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let pieces = [
            "a", "é", "👍🏽", " ", "  ", "=", "?", "=?", "_", "-", "\"", "\\", ",", "漢字", "word ", "ß", "(x)", ".",
            "longer-word ",
        ]
        func text(_ length: Int) -> String { (0..<pick(length)).map { _ in pieces[pick(pieces.count)] }.joined() }
        return (0..<count).map { number in
            let name = text(60).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            let fields = MessageFields.sample {
                $0.subject = text(120)
                $0.from = "\"\(name)\" <a@b.example>"
                $0.text = Array(
                    (0..<pick(20)).map { _ in text(200) + ["\n", "\r\n", "\r", ""][pick(4)] }.joined().utf8)
                $0.attachments = pick(3) == 0 ? [Attachment(name: text(100) + "x", data: Array(text(300).utf8))] : []
            }
            return ("random-\(number)", fields)
        }
    }
}
