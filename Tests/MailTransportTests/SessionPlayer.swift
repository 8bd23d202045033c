// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import NIOCore

/// Plays one file against a dialogue and writes down what is not as the file has it.
struct SessionPlayer {
    /// Made at the first thing that happens: until then the file says what session it is.
    private lazy var exchange = Exchange(tls: tls, login: login, host: host)
    private var tls = TLSPolicy.off
    private var login: LoginSettings?
    private var secret = Secret("")
    private var host = "mx.example"
    private var pending: [(sender: String, recipients: [String], body: String, is8Bit: Bool)] = []
    private var sent: [String] = []
    private var verdictsSeen = 0
    private(set) var stepCount = 0
    private(set) var complaints: [String] = []

    mutating func play(_ line: String, at number: Int) {
        guard !line.isEmpty, !line.hasPrefix("#") else { return }
        stepCount += 1
        let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
        switch parts[0] {
        case "mail", "mail8": addMail(value, is8Bit: parts[0] == "mail8")
        case "body": setBody(value)
        case "C": expectSent(value, at: number)
        case "verdict": expectVerdict(value, at: number)
        case "closed": if !exchange.dialogue.isClosed { complain("the session is not closed", at: number) }
        case "policy": choose(value, at: number)
        case "host": host = value
        case "login", "token": setLogin(value, parts[0] == "login" ? .password : .token)
        case "S": happens(at: number) { $0.says(value) }
        case "together": happens(at: number) { $0.says(value.split(separator: " | ").joined(separator: "\r\n")) }
        case "secured": happens(at: number) { $0.tell { $0.secured(value) } }
        case "insecure": happens(at: number) { $0.tell { $0.securingFailed(value) } }
        case "identify": identify(at: number)
        case "cannot identify": happens(at: number) { $0.tell { $0.cannotIdentify(value) } }
        case "ending": expectEnding(value, at: number)
        case "lost": happens(at: number) { $0.tell { $0.connectionLost(value) } }
        case "timeout": happens(at: number) { $0.tell { $0.timedOut() } }
        case "quit": happens(at: number) { $0.tell { $0.quit() } }
        default: complain("no such step: \(line)", at: number)
        }
    }

    mutating func finish() {
        happens(at: 0) { $0.sent() }
        for (index, verdict) in allVerdicts.enumerated() where index >= verdictsSeen {
            complain("left over: \(verdict)", at: 0)
        }
        if !pending.isEmpty { complain("a mail was never submitted", at: 0) }
    }

    private mutating func choose(_ value: String, at number: Int) {
        guard let policy = TLSPolicy(rawValue: value) else { return complain("no such policy: \(value)", at: number) }
        tls = policy
    }

    /// `USER SECRET [MECHANISM]`.
    private mutating func setLogin(_ value: String, _ kind: Credential.Kind) {
        let words = value.split(separator: " ").map(String.init)
        secret = Secret(words[1])
        login = LoginSettings(
            user: words[0], secret: SecretSource(kind: kind, place: .file("unread")),
            mechanism: words.count > 2 ? SASLName(key: words[2]) : nil)
    }

    private mutating func identify(at number: Int) {
        guard exchange.dialogue.phase == .identifying, let login else {
            return complain("no credential is asked for", at: number)
        }
        let credential = Credential(
            user: login.user, secret: secret, kind: login.secret.kind, nonce: "rOprNGfwEbeRWgbNEkqO")
        happens(at: number) { $0.tell { $0.identify(as: credential) } }
    }

    private mutating func expectEnding(_ expected: String, at number: Int) {
        let ending = exchange.dialogue.ending.map { "\($0.code) \($0.enhanced) \($0.text)" } ?? "none"
        if ending != expected { complain("the ending is \"\(ending)\" instead of \"\(expected)\"", at: number) }
    }

    private mutating func addMail(_ value: String, is8Bit: Bool) {
        let words = value.split { " ,".contains($0) }.map(String.init)
        pending.append((words[0], Array(words.dropFirst(2)), "test\r\n", is8Bit))
    }

    private mutating func setBody(_ value: String) {
        var body = ""
        var isEscaped = false
        for character in value {
            if isEscaped {
                body.append(character == "r" ? "\r" : character == "n" ? "\n" : character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else {
                body.append(character)
            }
        }
        pending[pending.count - 1].body = body
    }

    /// Something the client reacts to. What it sent before must have been expected by now.
    private mutating func happens(at number: Int, _ step: (Exchange) -> String) {
        for line in sent { complain("sent beyond what is expected: \(line)", at: number) }
        sent = lines(of: step(exchange))
        while exchange.dialogue.room > 0, let mail = pending.first {
            pending.removeFirst()
            sent += lines(of: exchange.submit(mail.sender, mail.recipients, ByteBuffer(string: mail.body), mail.is8Bit))
        }
    }

    private func lines(of text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    private mutating func expectSent(_ line: String, at number: Int) {
        guard let first = sent.first else {
            return complain("nothing was sent where it should be: \(line)", at: number)
        }
        sent.removeFirst()
        if first != line { complain("sent \"\(first)\" instead of \"\(line)\"", at: number) }
    }

    private var allVerdicts: [String] {
        mutating get {
            exchange.collect()
            return exchange.settled.flatMap { mail, verdicts, _ in
                zip(mail.recipients, verdicts).map { recipient, verdict in
                    let reply = verdict.reply
                    let status = reply.enhanced.isEmpty ? "" : " \(reply.enhanced)"
                    return "\(recipient) \(verdict.name) \(reply.code)\(status) \(reply.text)"
                }
            }
        }
    }

    private mutating func expectVerdict(_ expected: String, at number: Int) {
        let verdicts = allVerdicts
        guard verdictsSeen < verdicts.count else {
            return complain("no verdict where it should be: \(expected)", at: number)
        }
        let verdict = verdicts[verdictsSeen]
        verdictsSeen += 1
        if verdict != expected { complain("verdict \"\(verdict)\" instead of \"\(expected)\"", at: number) }
    }

    private mutating func complain(_ words: String, at number: Int) {
        complaints.append(number == 0 ? "at the end: \(words)" : "line \(number): \(words)")
    }
}
