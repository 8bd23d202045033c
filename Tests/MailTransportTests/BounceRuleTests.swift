// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import MailTransport
import MailWire
import NIOCore
import NIOPosix
import Testing

@Suite("Bounce messages of e-mail jobs")
struct BounceRuleTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()
    private static let job = JobID(raw: 1 << 40)

    private final class Nowhere: MailTransport {
        let name = "nowhere"
        func send(_ mail: Mail, done: @escaping (Outcome) -> Void) {}
        func close(done: @escaping () -> Void) { done() }
        var reports: [TransportReport] { [] }
    }

    /// What is asked of a kind with this rule, and its two answers.
    private func ask(
        _ line: String, _ rule: BounceRule = BounceRule(), fates: [Fate]? = nil, attempts: [String] = []
    ) async throws -> (mayReport: Bool, report: EmailFields?) {
        let loop = self.loop
        let records = HistoryRecord.parse(Array(attempts.joined(separator: "\n").utf8)).compactMap(\.attempt)
        #expect(records.count == attempts.count)
        let promise = loop.makePromise(of: (Bool, FailureReport).self)
        try await loop.submit {
            let kind = EmailKind(
                hostname: "h.example", transport: Nowhere(), signer: DKIMSigner([]), bounces: rule, loop: loop)
            let line = ByteBuffer(string: line)
            let may = kind.mayReport(line)
            let failure = FailedWork(job: Self.job, line: line, fates: fates, attempts: records)
            kind.report(failure) { report in
                kind.close { promise.succeed((may, report)) }
            }
        }.get()
        let (may, report) = try await promise.futureResult.get()
        guard case .line(let bytes) = report else { return (may, nil) }
        // What the intake would say of it, too: a report is a job as any other.
        let fields = try bytes.withUnsafeBytes { bytes in
            var reader = JobReader(schemas: [EmailSchema()], limits: JobLimits(queues: ["default": 0, "bulk": 1]))
            _ = try reader.read(bytes, now: WallTime(milliseconds: 1_800_000_000_000))
            return try EmailFields(bytes)
        }
        return (may, fields)
    }

    private static func line(_ more: String, from: String = "app@example.org") -> String {
        #"{"from":"\#(from)","to":["a@example.com","b@example.com"],"content":"hi"\#(more)}"#
    }

    static let rules: [(more: String, byDefault: Bool, isDue: Bool)] = [
        ("", false, false), ("", true, true), (#","bounce":true"#, false, true), (#","bounce":false"#, true, false),
        (#","bounce":true,"dsn":{"notify":"never"}"#, true, false),
        (#","bounce":true,"dsn":{"notify":["success","delay"]}"#, true, false),
        (#","bounce":true,"dsn":{"notify":["failure"]}"#, false, true),
        (#","dsn":{"notify":["failure"]}"#, false, false), (#","dsn":{"ret":"full"}"#, true, true),
        (#","envelope":{"from":""}"#, true, false), (#","envelope":{"from":"b@example.org"}"#, true, true),
    ]

    @Test(
        "RFC 3461 §4.1, RFC 5321 §6.1: who asks is told, but for NOTIFY without FAILURE and the null sender",
        arguments: rules)
    func rule(more: String, byDefault: Bool, isDue: Bool) async throws {
        var rule = BounceRule()
        rule.isWanted = byDefault
        let (mayReport, report) = try await ask(Self.line(more), rule)
        #expect(mayReport == isDue && (report != nil) == isDue)
        // RFC 3464 §2: from the null sender, so that there is never a bounce of a bounce.
        #expect(report == nil || report?.envelopeFrom == "")
        #expect(report == nil || report?.dsn == DSNRequest(notify: []))
    }

    @Test("it goes to the envelope's sender, in the mail's queue, and names whoever got nothing")
    func gathers() async throws {
        let attempts = [
            #"{"at":1,"ms":1,"relay":"r","peer":"192.0.2.1:25","fates":["#
                + #"{"to":"a@example.com","verdict":"delivered","code":250},"#
                + #"{"to":"b@example.com","verdict":"deferred","code":451,"enhanced":"4.7.1","text":"later"}]}"#,
            #"{"at":5000,"ms":1,"relay":"r","peer":"[2001:db8::1]:25","fates":["#
                + #"{"to":"b@example.com","verdict":"rejected","code":550,"enhanced":"5.1.1","text":"gone"}]}"#,
        ]
        let line = Self.line(
            #","bounce":true,"queue":"bulk","dsn":{"envid":"e 1","notify":["failure"]},"#
                + #""envelope":{"from":"list+1@example.org","to":["a@example.com","b@example.com"]}"#)
        let report = try #require(
            await ask(line, fates: [.delivered, .rejected], attempts: attempts).report)
        #expect(report.envelopeTo == ["list+1@example.org"] && report.queue == "bulk")
        let raw = String(decoding: report.raw ?? [], as: UTF8.self)
        #expect(raw.contains("\r\nTo: list+1@example.org\r\n"))
        #expect(raw.contains("From: Mail Delivery System <MAILER-DAEMON@h.example>\r\n"))
        #expect(raw.contains("Original-Envelope-Id: e 1\r\n") && !raw.contains("rfc822; a@example.com"))
        #expect(raw.contains("Final-Recipient: rfc822; b@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n"))
        #expect(raw.contains("Remote-MTA: dns; [IPv6:2001:db8::1]\r\nDiagnostic-Code: smtp; 550 5.1.1 gone\r\n"))
        #expect(raw.contains("In-Reply-To: <\(Self.job)@h.example>\r\n"))
    }

    @Test("who speaks is named where it is known, and our own words are not taken for a server's")
    func speakers() async throws {
        func text(_ peer: String, _ code: Int) async throws -> String {
            let fate = #"{"to":"a@example.com","verdict":"rejected","code":\#(code),"enhanced":"5.3.4","text":"no"}"#
            let attempt = #"{"at":1,"ms":1,"relay":"r"\#(peer),"fates":[\#(fate)]}"#
            let report = try await ask(
                Self.line(#","bounce":true"#), fates: [.rejected, .delivered], attempts: [attempt]
            ).report
            return String(decoding: report?.raw ?? [], as: UTF8.self)
        }
        let several = try await text(#","peer":"192.0.2.1:25, 192.0.2.2:25""#, 552)
        #expect(several.contains("Diagnostic-Code: smtp; 552") && !several.contains("Remote-MTA"))
        let socket = try await text(#","peer":"/run/lmtp""#, 552)
        #expect(socket.contains("Diagnostic-Code: smtp; 552") && !socket.contains("Remote-MTA"))
        let ours = try await text("", 552)
        #expect(ours.contains("Diagnostic-Code: x-maild; 552 5.3.4 no") && !ours.contains("Remote-MTA"))
        let silent = try await text(#","peer":"192.0.2.1:25""#, 0)
        #expect(silent.contains("Diagnostic-Code: x-maild; 5.3.4 no") && !silent.contains("Remote-MTA"))
    }

    @Test("RFC 3461 §4.3: RET decides how much comes back, and where it does not, the configuration")
    func content() async throws {
        for (more, byDefault, isWhole) in [
            ("", false, false), ("", true, true), (#","dsn":{"ret":"full"}"#, false, true),
            (#","dsn":{"ret":"headers"}"#, true, false),
        ] {
            var rule = BounceRule()
            (rule.isWanted, rule.returnsAll, rule.from) = (true, byDefault, "Post <post@example.org>")
            let raw = String(decoding: try await ask(Self.line(more), rule).report?.raw ?? [], as: UTF8.self)
            #expect(raw.contains("message/rfc822") == isWhole && raw.contains("text/rfc822-headers") == !isWhole)
            #expect(raw.contains("From: Post <post@example.org>\r\n"))
        }
    }

    @Test("a large mail comes back by its header")
    func large() async throws {
        let text = String(repeating: "line of a long text\\n", count: 40_000)
        let line =
            #"{"from":"a@example.org","to":"b@example.com","bounce":true,"dsn":{"ret":"full"},"#
            + #""content":"\#(text)"}"#
        let report = try #require(await ask(line).report)
        #expect((report.raw?.count ?? 0) < 4096)
    }

    @Test("a sender with letters beyond ASCII is told as well")
    func international() async throws {
        let report = try #require(await ask(Self.line(#","bounce":true"#, from: "grün@bücher.example")).report)
        #expect(report.envelopeTo == ["grün@xn--bcher-kva.example"])
    }
}
