// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import NIOPosix
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@Suite("Maildir")
struct MaildirTests {
    private let directory = TemporaryDirectory()

    private func folder(_ fault: @escaping @Sendable (MaildirFiles.Call) -> CInt? = { _ in nil }) -> MaildirFolder {
        MaildirFolder(path: directory.path + "/deep/mail", host: "mail.example", files: MaildirFiles(fault: fault))
    }

    private func mail(_ recipients: String..., message: String = "Subject: hi\r\n\r\n.dot\r\n") -> Mail {
        Mail(
            job: JobID(raw: 1 << 40), sender: "a@example.org", recipients: recipients,
            message: ByteBuffer(string: message), needs8BitMIME: false)
    }

    private var found: [String] { directory.list("deep/mail/new") }

    @Test("prepare makes the directories for us alone, and may be called again")
    func prepare() throws {
        try folder().prepare()
        try folder().prepare()
        for name in ["deep", "deep/mail", "deep/mail/tmp", "deep/mail/new", "deep/mail/cur"] {
            #expect(directory.mode(name) == 0o700, "\(name)")
        }
    }

    @Test("one file a recipient, with its two fields in front, LF at line ends, for us alone")
    func deliver() throws {
        try folder().prepare()
        let verdicts = folder().deliver(mail("b@example.com", "c@example.com"))
        #expect(verdicts.map(\.name) == ["delivered", "delivered"])
        #expect(found.count == 2)
        #expect(directory.list("deep/mail/tmp") == [])
        for (name, recipient) in zip(found, ["b@example.com", "c@example.com"]) {
            let expected = "Return-Path: <a@example.org>\nDelivered-To: \(recipient)\nSubject: hi\n\n.dot\n"
            #expect(directory.read("deep/mail/new/" + name) == expected)
            #expect(directory.mode("deep/mail/new/" + name) == 0o600)
            #expect(name.hasPrefix("\(JobID(raw: 1 << 40).time.milliseconds / 1000)."))
            #expect(name.hasSuffix("_\(recipient).mail.example"))
        }
    }

    @Test("the same job and recipient have the same file on every attempt")
    func again() throws {
        _ = folder().deliver(mail("b@example.com"))
        _ = folder().deliver(mail("b@example.com", "c@example.com"))
        #expect(found.count == 2)
    }

    @Test("only CR before LF is dropped")
    func lineEnds() {
        _ = folder().deliver(mail("b@example.com", message: "a\r\nb\rc\nd\r\r\n\r\n"))
        #expect(directory.read("deep/mail/new/" + (found.first ?? ""))?.hasSuffix("com\na\nb\rc\nd\r\n\n") == true)
    }

    @Test(
        "no recipient can name a file elsewhere, or one too long",
        arguments: ["../../x@example.com", "a/b:2,S@x", String(repeating: "é", count: 120) + "@x"])
    func names(recipient: String) {
        let verdicts = folder().deliver(mail(recipient, recipient + "y"))
        #expect(verdicts.map(\.name) == ["delivered", "delivered"])
        #expect(found.count == 2)
        #expect(found.allSatisfy { $0.utf8.count <= 255 && !$0.contains(":") })
    }

    @Test("a line end in an address is refused, and costs the others nothing")
    func injection() {
        let verdicts = folder().deliver(mail("b@x\nSubject: no", "c@example.com"))
        #expect(verdicts.map(\.name) == ["rejected", "delivered"])
    }

    @Test(
        "every system call may fail: deferred with path and reason, no half file in new, and the next attempt succeeds")
    func faults() throws {
        let calls: [MaildirFiles.Call] = [.open, .write, .sync, .rename, .openDirectory, .syncDirectory]
        for (number, call) in calls.enumerated() {
            for (code, reply) in [
                (ENOSPC, Reply(452, "4.3.1")), (EDQUOT, Reply(452, "4.3.1")), (EACCES, Reply(451, "4.3.0")),
            ] {
                try folder().prepare()
                let recipient = "b\(number)-\(code)@example.com"
                let verdict = try #require(folder { $0 == call ? code : nil }.deliver(mail(recipient)).first)
                #expect(verdict.name == "deferred")
                #expect(verdict.reply.code == reply.code && verdict.reply.enhanced == reply.enhanced)
                #expect(
                    verdict.reply.text.hasPrefix(directory.path)
                        && verdict.reply.text.hasSuffix(String(cString: strerror(code))))
                #expect(directory.list("deep/mail/tmp") == [])
                for name in found { #expect(directory.read("deep/mail/new/" + name)?.hasSuffix(".dot\n") == true) }
                #expect(folder().deliver(mail(recipient)).map(\.name) == ["delivered"])
            }
        }
        #expect(found.count == 18)
    }

    @Test("a directory that cannot be made is named at the start")
    func cannotPrepare() {
        #expect(throws: MaildirError.self) { try folder { $0 == .makeDirectory ? EROFS : nil }.prepare() }
        directory.write("file", "")
        let blocked = MaildirFolder(path: directory.path + "/file/mail", host: "x")
        #expect { try blocked.prepare() } throws: { "\($0)".contains("/file/mail: Not a directory") }
    }

    @Test("the transport answers on its loop, counts, and closes when all is written")
    func transport() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: [String].self)
        let folder = folder()
        let mail = mail("b@example.com", "bad address")
        try await loop.submit {
            let transport = MaildirTransport(name: "local", folder: folder, loop: loop)
            var seen: [String] = []
            transport.send(mail) { outcome in
                loop.assertInEventLoop()
                seen += outcome.verdicts.map(\.name) + [outcome.relay]
            }
            transport.close {
                seen += ["closed", "\(transport.report.delivered) \(transport.report.rejected)"]
                promise.succeed(seen)
            }
        }.get()
        #expect(try await promise.futureResult.get() == ["delivered", "rejected", "local", "closed", "1 1"])
    }
}
