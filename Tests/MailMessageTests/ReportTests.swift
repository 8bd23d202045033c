// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import Testing

@Suite("RFC 3464: bounce messages")
struct ReportTests {
    private static let message = """
        Message-ID: <1@app.example.org>
        From: app@example.org
        To: a@example.com
        Subject: hi

        text
        .

        """.replacing("\n", with: "\r\n")

    private static func report(_ change: (inout DeliveryReport) -> Void = { _ in }) -> DeliveryReport {
        var report = DeliveryReport(
            from: "Mail Delivery System <MAILER-DAEMON@mail.example.org>", to: "app@example.org",
            hostname: "mail.example.org", job: JobID.first(at: mondayMorning, node: 0))
        var recipient = DeliveryReport.Recipient(
            address: "a@example.com", reply: Reply(550, "5.1.1", "no such user"), lastAttempt: mondayMorning + 5)
        recipient.isServersReply = true
        recipient.server = "[192.0.2.1]"
        report.recipients = [recipient]
        report.message = Array(message.utf8)
        change(&report)
        return report
    }

    private static func text(_ change: (inout DeliveryReport) -> Void = { _ in }) throws -> String {
        String(decoding: try MessageComposer.compose(report(change)), as: UTF8.self)
    }

    @Test("RFC 3464 §2: the status part says who reports, who got nothing, and why")
    func status() throws {
        let text = try Self.text { $0.envelopeID = "order 17" }
        let part = """
            Content-Type: message/delivery-status

            Original-Envelope-Id: order 17
            Reporting-MTA: dns; mail.example.org
            Arrival-Date: Mon, 23 Nov 2026 10:00:00 +0000

            Final-Recipient: rfc822; a@example.com
            Action: failed
            Status: 5.1.1
            Remote-MTA: dns; [192.0.2.1]
            Diagnostic-Code: smtp; 550 5.1.1 no such user
            Last-Attempt-Date: Mon, 23 Nov 2026 10:00:05 +0000

            """.replacing("\n", with: "\r\n")
        #expect(text.contains(part + "\r\n--"))
    }

    @Test("RFC 3834 §5: it is told from what people write, and belongs to the mail that failed")
    func header() throws {
        let text = try Self.text()
        let header = text.prefix(upTo: try #require(text.firstRange(of: "\r\n\r\n")).lowerBound)
        for field in [
            "From: Mail Delivery System <MAILER-DAEMON@mail.example.org>", "To: app@example.org",
            "Auto-Submitted: auto-replied", "In-Reply-To: <1@app.example.org>", "References: <1@app.example.org>",
            "MIME-Version: 1.0", "Content-Type: multipart/report; report-type=delivery-status;",
        ] { #expect(header.contains("\r\n\(field)") || header.hasPrefix(field), "\(field)") }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var reply: Reply?
        var isServers = true
        var lines: [String]
    }

    static let cases = [
        Case(
            testDescription: "never tried", reply: nil, lines: ["Status: 4.4.7"]),
        Case(
            testDescription: "a code without a status", reply: Reply(550, "", "no"),
            lines: ["Status: 5.0.0", "Diagnostic-Code: smtp; 550 no"]),
        Case(
            testDescription: "given up", reply: Reply(451, "4.7.1", "later"),
            lines: ["Status: 4.7.1", "Diagnostic-Code: smtp; 451 4.7.1 later"]),
        Case(
            testDescription: "a deferral without a status", reply: Reply(421), lines: ["Status: 4.0.0"]),
        Case(
            testDescription: "our own words", reply: Reply(552, "5.3.4", "too large"), isServers: false,
            lines: ["Status: 5.3.4", "Diagnostic-Code: x-maild; 552 5.3.4 too large"]),
        Case(
            testDescription: "beyond ASCII, and with controls",
            reply: Reply(550, "5.1.1", "kein\u{7F}Empfänger\r\nX: y"),
            lines: ["Diagnostic-Code: smtp; 550 5.1.1 kein Empf?nger X: y"]),
        Case(
            testDescription: "a status that is none", reply: Reply(550, "5.x.1", "no"), lines: ["Status: 5.0.0"]),
    ]

    @Test("RFC 3463: each recipient has a status, and the words of whoever said them", arguments: cases)
    func recipient(_ one: Case) throws {
        let text = try Self.text {
            $0.recipients[0].reply = one.reply
            $0.recipients[0].isServersReply = one.isServers
            if !one.isServers { $0.recipients[0].server = nil }
        }
        for line in one.lines { #expect(text.contains("\r\n\(line)\r\n"), "\(text)") }
        #expect(text.contains("Diagnostic-Code") == (one.reply != nil))
        #expect(text.contains("Remote-MTA") == one.isServers)
    }

    @Test("RFC 6533 §3: an address beyond ASCII stands in the status part in ASCII")
    func international() throws {
        let text = try Self.text { $0.recipients[0].address = "grün@xn--bcher-kva.example" }
        #expect(text.contains("\r\nFinal-Recipient: utf-8; gr\\x{FC}n@xn--bcher-kva.example\r\n"))
        #expect(text.utf8.allSatisfy { $0 < 0x80 })
    }

    @Test("the header comes back, or the whole where it is wanted, of 7 bits and not large")
    func returned() throws {
        let header = Self.message.prefix(upTo: try #require(Self.message.firstRange(of: "\r\n\r\n")).lowerBound)
        let short = try Self.text()
        #expect(short.contains("\r\nContent-Type: text/rfc822-headers\r\n"))
        #expect(short.contains("\r\n\r\n\(header)\r\n\r\n--") && !short.contains("\r\ntext\r\n"))
        let whole = try Self.text { $0.returnsAll = true }
        #expect(whole.contains("\r\nContent-Type: message/rfc822\r\n\r\n\(Self.message)\r\n--"))
        let eightBit = try Self.text {
            $0.returnsAll = true
            $0.message += Array("grün\r\n".utf8)
        }
        #expect(eightBit.contains("text/rfc822-headers") && !eightBit.contains("message/rfc822"))
        let large = try Self.text {
            $0.returnsAll = true
            $0.message += Array(repeating: "x".utf8.first ?? 0, count: Limits.returnedMessageBytesMax)
        }
        #expect(large.contains("text/rfc822-headers") && large.utf8.count < 4096)
    }

    @Test("RFC 6533 §4: a header beyond ASCII comes back encoded, and a huge one in part")
    func strangeHeaders() throws {
        let global = try Self.text { $0.message = Array("From: grün@example.org\r\n\r\ntext\r\n".utf8) }
        #expect(global.contains("Content-Type: message/global-headers\r\nContent-Transfer-Encoding: base64\r\n"))
        #expect(global.utf8.allSatisfy { $0 < 0x80 })
        let huge = try Self.text {
            $0.message = Array((String(repeating: "X-A: b\r\n", count: 100_000) + "\r\ntext\r\n").utf8)
        }
        #expect(huge.utf8.count < Limits.returnedHeaderBytesMax + 4096 && huge.contains("X-A: b\r\n\r\n--"))
    }

    @Test("RFC 2046 §5.1.1: the boundary is one that what comes back does not hold")
    func boundary() throws {
        let first = try Self.text { $0.returnsAll = true }
        let start = try #require(first.firstRange(of: "boundary=\"")).upperBound
        let boundary = first[start...].prefix { $0 != "\"" }
        let second = try Self.text {
            $0.returnsAll = true
            $0.message = Array("From: a@b\r\n\r\n--\(boundary)\r\n".utf8)
        }
        #expect(second.contains("--\(boundary)\r\n") && !second.contains("boundary=\"\(boundary)\""))
    }

    @Test("an address that is none, and no recipients, make no message that could be sent wrong")
    func impossible() {
        #expect(throws: ComposeError.self) { try MessageComposer.compose(Self.report { $0.to = "nobody" }) }
        #expect(throws: ComposeError.self) { try MessageComposer.compose(Self.report { $0.from = "a\r\nb@c" }) }
    }

    @Test("Python's email package finds no defect in any of them, and every field as it was given")
    func judged() throws {
        let directory = try TemporaryDirectory()
        let variants: [(String, (inout DeliveryReport) -> Void)] = [
            ("plain", { _ in }), ("whole", { $0.returnsAll = true }),
            (
                "several",
                { report in
                    report.recipients = (1...200).map { number in
                        DeliveryReport.Recipient(
                            address: "r\(number)@example.com",
                            reply: Reply(550, "5.7.1", String(repeating: "long words ", count: 60)))
                    }
                }
            ),
            ("never", { $0.recipients[0] = .init(address: "a@example.com") }),
            ("words", { $0.recipients[0].reply = Reply(550, "5.1.1", "nö \(String(repeating: "ü", count: 400))") }),
            ("endless", { $0.recipients[0].reply = Reply(550, "5.1.1", String(repeating: "x", count: 4000)) }),
        ]
        for (name, change) in variants {
            let raw = try MessageComposer.compose(Self.report(change))
            let message = try MessageComposer.pass(raw: raw, date: mondayMorning, messageID: sampleMessageID)
            #expect(!message.needs8BitMIME && !message.needsSMTPUTF8)
            try directory.write(message.bytes, to: "\(name).eml")
        }
        let here = #filePath
        let folder = here.prefix(here.lastIndex(of: "/").map { here.distance(from: here.startIndex, to: $0) } ?? 0)
        let verdict = try Python.run("\(folder)/report_judge.py", directory.path)
        #expect(verdict.status == 0, "\(verdict.output)")
        #expect(verdict.output.contains("\(variants.count) reports judged, 0 offences"))
    }
}
