// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailMessage
import Testing

@Suite("Python's email package judges what we compose")
struct JudgeTests {
    private static var script: String {
        let here = #filePath
        return here.prefix(here.lastIndex(of: "/").map { here.distance(from: here.startIndex, to: $0) } ?? 0)
            + "/judge.py"
    }

    @Test("it finds no defect in the awkward corpus, and every text, name and file as it was given")
    func corpus() throws {
        let directory = try TemporaryDirectory()
        let messages = try Corpus.messages()
        for (name, message, expect) in messages { try write(name, message.bytes, expect, to: directory) }
        let verdict = try Python.run(Self.script, directory.path)
        #expect(verdict.status == 0, "\(verdict.output)")
        #expect(verdict.output.contains("\(messages.count) messages judged, 0 offences"))
    }

    @Test("it reads raw messages that we have mended")
    func raw() throws {
        let directory = try TemporaryDirectory()
        let raws = [
            ("lf", "From: a@b\nSubject: =?utf-8?q?=C3=A9?=\nBcc: x@y,\n z@y\nTo: c@d\n\ntext\n.\nend"),
            ("cr", "From: a@b\rTo: c@d\rSubject: é\r\rtext\r.\rend".replacing("é", with: "=?utf-8?q?=C3=A9?=")),
            ("crlf", "BCC: x@y\r\nFrom: a@b\r\nTo: c@d\r\nSubject: =?utf-8?q?=C3=A9?=\r\n\r\ntext\r\n.\r\nend\r\n"),
        ]
        for (name, raw) in raws {
            let message = try MessageComposer.pass(
                raw: Array(raw.utf8), date: mondayMorning, messageID: sampleMessageID)
            let expect = [
                Expectation("raw"), Expectation("absent", "Bcc"), Expectation("header", "Subject", "é"),
                Expectation("header", "Message-ID", sampleMessageID), Expectation("plain", "text\n.\nend"),
                Expectation("header", "Date", "Mon, 23 Nov 2026 10:00:00 +0000"), Expectation("To", "\nc\nd"),
            ]
            try write(name, message.bytes, expect, to: directory)
        }
        let verdict = try Python.run(Self.script, directory.path)
        #expect(verdict.status == 0, "\(verdict.output)")
    }

    @Test(
        "it does find what is wrong",
        arguments: [
            ("header 5375626a656374 6f74686572", "\n", "Subject: wanted 'other'"),
            ("plain 6f74686572", "\n", "plain: wanted 'other'"), ("file 61 62 63 64", "\n", "was not found"),
            ("To 61", "\n", "To: wanted"), ("raw", "\n", "0 offences"), ("raw", "\nlone\n", "stands alone"),
        ])
    func strict(expectation: String, tail: String, output: String) throws {
        let directory = try TemporaryDirectory()
        let fields = MessageFields.sample { ($0.subject, $0.text) = ("hi", Array("text\n".utf8)) }
        let bytes = try MessageComposer.compose(fields).bytes + (tail == "\n" ? [] : Array(tail.utf8))
        try directory.write(bytes, to: "a.eml")
        try directory.write(Array(expectation.utf8), to: "a.expect")
        let verdict = try Python.run(Self.script, directory.path)
        #expect(verdict.output.contains(output))
        #expect((verdict.status == 0) == (output == "0 offences"))
    }

    private func write(
        _ name: String, _ bytes: [UInt8], _ expect: [Expectation], to directory: TemporaryDirectory
    ) throws {
        try directory.write(bytes, to: "\(name).eml")
        try directory.write(Array(expect.map(\.line).joined(separator: "\n").utf8), to: "\(name).expect")
    }
}
