// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite("SMTP over standard input") struct LocalSessionTests {
    /// The codes of the replies; `data` and `bye` in their places.
    private func play(_ lines: [String]) -> [String] {
        var session = LocalSession(host: "h")
        return lines.map { line in
            switch session.take(line) {
            case .reply(let text): String(text.split(separator: "\r\n").last?.prefix(3) ?? "")
            case .data(let envelope): "data \(envelope.sender)>\(envelope.recipients.joined(separator: ","))"
            case .bye: "bye"
            }
        }
    }

    @Test("a mail, and another one after it")
    func mails() {
        let lines = [
            "EHLO x", "MAIL FROM:<a@x> BODY=8BITMIME SIZE=5", "RCPT TO:<b@y>", "rcpt to: c", "DATA", "mail from:<>",
            "RCPT TO:<d@z>", "DATA", "QUIT",
        ]
        #expect(
            play(lines) == ["250", "250", "250", "250", "data a@x>b@y,c", "250", "250", "data >d@z", "bye"])
    }

    @Test("commands out of their order, and what is none, are refused")
    func order() {
        #expect(play(["MAIL FROM:<a@x>", "HELO x", "RCPT TO:<b@y>", "DATA"]) == ["503", "250", "503", "503"])
        #expect(
            play(["EHLO x", "MAIL <a@x>", "MAIL FROM:<a", "VRFY b", "NOOP", "HELP"]) == [
                "250", "501", "501", "252", "250", "500",
            ])
        #expect(play(["EHLO x", "MAIL FROM:<a@x>", "RSET", "RCPT TO:<b@y>"]) == ["250", "250", "250", "503"])
        #expect(play(["EHLO x", "MAIL FROM:<a@x>", "RCPT TO:<>"]) == ["250", "250", "501"])
    }

    @Test("what maild says becomes a reply for good, or for now")
    func replies() {
        #expect(LocalSession.handed("0G2Q", nil) == "250 2.0.0 Ok: queued as 0G2Q")
        #expect(LocalSession.handed("", Failure(.badData, "no")) == "554 5.6.0 no")
        #expect(LocalSession.handed("", Failure(.tryAgain, "full")) == "451 4.3.0 full")
    }
}
