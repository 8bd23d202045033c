// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import Testing

@Suite("Mail to names of this machine") struct LocalDeliveryTests {
    /// Answers at once, and remembers whom it was given.
    private final class Hop: MailTransport {
        let name: String
        private(set) var recipients: [[String]] = []
        private(set) var isClosed = false

        init(_ name: String) { self.name = name }

        func send(_ mail: Mail, done: @escaping (Outcome) -> Void) {
            recipients.append(mail.recipients)
            done(
                Outcome(verdicts: mail.recipients.map { .delivered(Reply(250, "2.0.0", "\(name) \($0)")) }, relay: name)
            )
        }

        func close(done: @escaping () -> Void) {
            isClosed = true
            done()
        }

        var reports: [TransportReport] { [TransportReport(name: name, transport: "", address: "")] }
    }

    private let relays = Hop("hub")
    private let maildir = Hop("maildir")

    private func send(_ recipients: String...) -> [String] {
        let relays = relays
        let maildir = maildir
        let delivery = LocalDelivery(beside: relays) { maildir }
        var texts: [String] = []
        let mail = Mail(
            job: JobID(raw: 1), sender: "a@example.org", recipients: recipients, message: ByteBuffer(),
            needs8BitMIME: false)
        delivery.send(mail) { texts = $0.verdicts.map(\.reply.text) }
        return texts
    }

    @Test("goes into the Maildir, other mail to the relays, and each recipient keeps its verdict")
    func shares() {
        #expect(
            send("ann@localhost", "b@example.com", "c@LocalHost") == [
                "maildir ann@localhost", "hub b@example.com", "maildir c@LocalHost",
            ])
        #expect(relays.recipients == [["b@example.com"]])
        #expect(send("b@example.com") == ["hub b@example.com"])
        #expect(send("root@localhost") == ["maildir root@localhost"])
    }

    @Test(
        "only that domain is this machine's",
        arguments: [
            ("ann@localhost", true), ("ann@LOCALHOST", true), ("ann@xlocalhost", false), ("localhost", false),
            ("@localhost", false), ("ann@localhost.example", false), ("", false),
        ])
    func names(address: String, isLocal: Bool) { #expect(LocalDelivery.isLocal(address) == isLocal) }

    @Test("a Maildir that was never needed is neither shown nor closed")
    func lazy() {
        let relays = relays
        let maildir = maildir
        let delivery = LocalDelivery(beside: relays) { maildir }
        #expect(delivery.reports.map(\.name) == ["hub"])
        var isDone = false
        delivery.close { isDone = true }
        #expect(isDone && relays.isClosed && !maildir.isClosed)
    }
}
