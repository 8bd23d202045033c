// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import Testing

@Suite("Notices asked for by DSN")
struct DSNTests {
    private func mail(_ dsn: DSNRequest?, to recipients: [String] = ["b@example.com"]) -> Mail {
        Mail(
            job: JobID(raw: 1), sender: "a@example.org", recipients: recipients,
            message: ByteBuffer(string: "hi\r\n"), needs8BitMIME: false, dsn: dsn)
    }

    private static let table: [(DSNRequest, mail: String, rcpt: String)] = [
        (DSNRequest(), "", " ORCPT=rfc822;b@example.com"),
        (DSNRequest(notify: []), "", " NOTIFY=NEVER ORCPT=rfc822;b@example.com"),
        (DSNRequest(notify: .failure), "", " NOTIFY=FAILURE ORCPT=rfc822;b@example.com"),
        (
            DSNRequest(notify: [.delay, .failure, .success]), "",
            " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;b@example.com"
        ),
        (DSNRequest(content: .full), " RET=FULL", " ORCPT=rfc822;b@example.com"),
        (
            DSNRequest(notify: .delay, content: .headers, envelopeID: "order 17+a=b"),
            " RET=HDRS ENVID=order+2017+2Ba+3Db", " NOTIFY=DELAY ORCPT=rfc822;b@example.com"
        ),
    ]

    @Test("RFC 3461 §4: RET and ENVID with MAIL, NOTIFY and ORCPT with RCPT, NEVER alone", arguments: table)
    func offered(request: DSNRequest, mail: String, rcpt: String) {
        let exchange = Exchange(offering: ["PIPELINING", "DSN"])
        #expect(
            exchange.submit(self.mail(request))
                == "MAIL FROM:<a@example.org>\(mail)\nRCPT TO:<b@example.com>\(rcpt)\nDATA\n")
    }

    @Test("where DSN is not offered, or nothing was asked, no parameter is sent", arguments: table)
    func notOffered(request: DSNRequest, mail: String, rcpt: String) {
        let plain = "MAIL FROM:<a@example.org>\nRCPT TO:<b@example.com>\nDATA\n"
        #expect(Exchange.pipelined().submit(self.mail(request)) == plain)
        #expect(Exchange(offering: ["PIPELINING", "DSN"]).submit(self.mail(nil)) == plain)
        let ignoring = Exchange(offering: ["PIPELINING", "DSN"]) { $0.ignoredExtensions = ["DSN"] }
        #expect(ignoring.submit(self.mail(request)) == plain)
    }

    @Test("RFC 3461 §4.2, RFC 6533 §3: the original recipient in xtext, beyond ASCII by its code points")
    func recipients() {
        let exchange = Exchange(offering: ["PIPELINING", "DSN", "SMTPUTF8"])
        let recipients = ["a+tag@example.com", "\"x y\"@example.com", "jürgen+€@example.com"]
        let sent = exchange.submit(mail(DSNRequest(), to: recipients))
        #expect(
            sent.split(separator: "\n").dropFirst().dropLast().map(String.init) == [
                "RCPT TO:<a+tag@example.com> ORCPT=rfc822;a+2Btag@example.com",
                "RCPT TO:<\"x y\"@example.com> ORCPT=rfc822;\"x+20y\"@example.com",
                "RCPT TO:<jürgen+€@example.com> ORCPT=utf-8;j\\x{FC}rgen\\x{2B}\\x{20AC}@example.com",
            ])
    }

    @Test("the order of parameters is that of the extensions' age, and all are there")
    func all() {
        let exchange = Exchange(offering: ["SIZE", "8BITMIME", "DSN"])
        var mail = mail(DSNRequest(content: .full, envelopeID: "1"))
        mail.needs8BitMIME = true
        #expect(exchange.submit(mail) == "MAIL FROM:<a@example.org> SIZE=4 BODY=8BITMIME RET=FULL ENVID=1\n")
    }
}
