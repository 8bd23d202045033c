// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage
import MailTransport
import NIOCore
import NIOPosix
import Testing

/// Delivers everything at once and remembers it.
private final class Letterbox: MailTransport {
    let name = "letterbox"
    private(set) var mails: [Mail] = []
    private(set) var isClosed = false

    func send(_ mail: Mail, done: @escaping (Outcome) -> Void) {
        mails.append(mail)
        done(Outcome(verdicts: mail.recipients.map { _ in .delivered(Reply(250)) }, relay: name))
    }

    func close(done: @escaping () -> Void) {
        isClosed = true
        done()
    }

    var reports: [TransportReport] { [TransportReport(name: name, transport: "test", address: "")] }
}

@Suite("E-mail jobs on their way to a transport")
struct EmailKindTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()
    private static let line = #"{"from":"a@example.org","to":["b@example.com","c@example.com"],"content":"hi"}"#
    /// RFC 8463 A.1
    private static let pem = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
        -----END PRIVATE KEY-----
        """

    private struct Seen: Sendable {
        var results: [WorkResult] = []
        var mails: [Mail] = []
        /// All results were there when `close` answered, and the transport was closed.
        var endedInOrder = false

        var messages: [String] { mails.map { String(buffer: $0.message) } }
        var verdicts: [Verdict] { results.flatMap { $0.tried.map(\.verdict) } }
    }

    /// Runs the jobs; `closing`: does not wait for their results before it closes the kind.
    private func run(
        _ lines: [String], signedBy entries: [DKIMEntry], fates: [Fate]? = nil, closing: Bool = false
    ) async throws -> Seen {
        let loop = self.loop
        let promise = loop.makePromise(of: Seen.self)
        try await loop.submit {
            let letterbox = Letterbox()
            let signer = DKIMSigner(entries)
            let kind = EmailKind(hostname: "h.example", transport: letterbox, signer: signer, loop: loop)
            var seen = Seen()
            let end = {
                kind.close {
                    seen.mails = letterbox.mails
                    seen.endedInOrder = letterbox.isClosed && seen.results.count == lines.count
                    promise.succeed(seen)
                }
            }
            for (number, line) in lines.enumerated() {
                let job = JobID(raw: Int64(number + 1) << 40)
                kind.run(Work(job: job, body: ByteBuffer(string: line), fates: fates, attempt: 1)) { result in
                    seen.results.append(result)
                    if !closing && seen.results.count == lines.count { end() }
                }
            }
            if closing { end() }
        }.get()
        return try await promise.futureResult.get()
    }

    private func entry(_ domain: String) throws -> DKIMEntry {
        DKIMEntry(domain: domain, selector: "s1", key: try DKIMKey(pem: Self.pem))
    }

    @Test(
        "fates are for the recipients that there are: what does not fit and says something is damage",
        arguments: [
            (nil, 2), ([.open, .open], 2), ([.delivered, .open], 1), ([.open], 2), ([.delivered], nil),
            ([.open, .open, .rejected], nil),
        ] as [([Fate]?, Int?)])
    func fates(_ fates: [Fate]?, _ recipients: Int?) async throws {
        let seen = try await run([Self.line], signedBy: [], fates: fates)
        #expect(seen.mails.map(\.recipients.count) == (recipients.map { [$0] } ?? []))
        #expect((seen.results[0].damage == nil) == (recipients != nil))
    }

    @Test("a message whose author has a key goes out with a signature in front, others go as they are")
    func signs() async throws {
        let other = #"{"from":"a@example.net","to":"b@example.com","content":"hi"}"#
        let seen = try await run([Self.line, other], signedBy: [entry("example.org")])
        let messages = seen.messages.sorted()
        #expect(messages.count == 2 && seen.endedInOrder)
        #expect(messages[0].hasPrefix("DKIM-Signature: v=1; a=ed25519-sha256;"))
        #expect(messages[0].contains("\r\nFrom: a@example.org\r\n"))
        #expect(messages[1].hasPrefix("From: a@example.net\r\n"))
        #expect(seen.verdicts == Array(repeating: .delivered(Reply(250)), count: 3))
    }

    @Test("what is on the bench when the kind closes is answered first, each once, and nothing is lost")
    func closes() async throws {
        let lines = Array(repeating: Self.line, count: 200)
        let seen = try await run(lines, signedBy: [entry("example.org")], closing: true)
        #expect(seen.results.count == 200 && seen.endedInOrder)
        #expect(seen.mails.isEmpty)
        for verdict in seen.verdicts {
            guard case .deferred(let reply) = verdict else {
                Issue.record("\(verdict)")
                continue
            }
            #expect(reply.code == 451 && reply.text.contains("maild is stopping"))
        }
    }

    @Test("RFC 6531: what the message needs is told to the transport, which decides")
    func smtpUTF8() async throws {
        let lines = [
            #"{"from":"a@example.org","to":"jürgen@bücher.example","content":"hi"}"#,
            #"{"from":"a@example.org","to":"b@bücher.example","bcc":"jürgen@example.com","content":"hi"}"#,
            #"{"raw":"From: a@example.org\nSubject: ü\n\nhi","envelope":{"from":"","to":["b@example.com"]}}"#,
        ]
        let seen = try await run(lines, signedBy: [])
        #expect(seen.mails.map(\.needsSMTPUTF8) == [true, false, true])
        #expect(
            seen.mails.map(\.recipients) == [
                ["jürgen@xn--bcher-kva.example"], ["b@xn--bcher-kva.example", "jürgen@example.com"], ["b@example.com"],
            ])
    }
}
