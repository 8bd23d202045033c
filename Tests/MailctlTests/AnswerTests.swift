// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import Testing
import mailctl

@Suite struct AnswerTests {
    private func answer(_ line: String) throws -> Answer { try Answer(parsing: Array(line.utf8)) }

    @Test("a job that was taken is shown by id, state and ref")
    func taken() throws {
        #expect(try answer(#"{"job":"0G2Q5X7J1C0A4","state":"ready"}"#).text == "0G2Q5X7J1C0A4 ready")
        #expect(try answer(#"{"job":"A","state":"scheduled","ref":"o 17","new":1}"#).text == "A scheduled o 17")
    }

    static let ends: [(String, Sysexit)] = [
        ("delivered", .done), ("failed", .rejectedRecipient), ("expired", .notReached), ("cancelled", .cancelled),
        ("ready", .tryAgain), ("scheduled", .tryAgain),
    ]

    @Test("an outcome is shown with a line for each recipient, and has an exit status", arguments: ends)
    func settled(state: String, status: Sysexit) throws {
        let fates =
            #"[{"to":"a@b.c","verdict":"delivered","code":250},"#
            + #"{"to":"d@e.f","verdict":"rejected","code":550,"enhanced":"5.1.1","text":"no\u001b"}]"#
        let answer = try answer(#"{"job":"A","state":"\#(state)","ref":"r","recipients":\#(fates)}"#)
        let lines = ["A \(state) r", "    delivered  a@b.c  250", "    rejected   d@e.f  550 5.1.1 no\\u{1B}"]
        #expect(answer.text == lines.joined(separator: "\n"))
        var tally = Tally()
        tally.count(answer)
        #expect(tally.status == status && tally.taken == 1)
    }

    @Test("each error of the protocol has an exit status", arguments: WireErrorName.allCases)
    func errors(name: WireErrorName) throws {
        let refused = try answer(#"{"error":"\#(name.rawValue)","message":"m"}"#)
        let status = Sysexit(rawValue: name.exitCode)
        #expect(status != nil)
        #expect(refused == .refused(.init(name: name.rawValue, message: "m", status: status ?? .done, retryAfter: nil)))
    }

    @Test("what can be retried exits with 75, whatever its name")
    func retryable() throws {
        var tally = Tally()
        tally.count(try answer(#"{"error":"internal","message":"m","retryable":true}"#))
        tally.count(try answer(#"{"error":"invalid_job","message":"m","retryable":false}"#))
        tally.count(try answer(#"{"job":"A","state":"ready"}"#))
        #expect(tally.status == .tryAgain)
        #expect(tally.text(seconds: 0.5) == "1 taken, 2 refused in 500ms (6/s)")
    }

    @Test("anything else is no answer of maild's", arguments: ["", "220 ESMTP", "[]", "{}", #"{"job":1}"#])
    func strange(line: String) {
        let failure = #expect(throws: Failure.self) { try answer(line) }
        #expect(failure?.status == .protocolError)
    }

    @Test("control characters do not get through")
    func safe() throws {
        #expect(try answer(#"{"job":"A","state":"ready","ref":"\u001b[2J\n"}"#).text == "A ready \\u{1B}[2J\\n")
        let failure = #expect(throws: Failure.self) { try answer("\u{1B}[2J") }
        #expect(failure?.message?.unicodeScalars.contains("\u{1B}") == false)
    }
}
