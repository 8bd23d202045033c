// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport
import NIOCore
import Secrets

/// Plays one file against a dialogue and writes down what is not as the file has it.
struct SessionPlayer {
    /// Made at the first thing that happens: until then the file says what session it is.
    private lazy var exchange = Exchange(tls: tls, login: login, host: host, adjust: adjust)
    private var mailProtocol = MailProtocol.smtp
    private var ignored: [String] = []
    private var chunkBytesMax = 1 << 20
    private var tls = TLSPolicy.off
    private var login: LoginSettings?
    private var secret = Secret("")
    private var host = "mx.example"
    private var pending: [Mail] = []
    /// Seconds since the last thing that happened.
    private var seconds: Int64 = 0
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
        case "dsn": setDSN(value, at: number)
        case "protocol": mailProtocol = value == "lmtp" ? .lmtp : .smtp
        case "chunk": chunkBytesMax = Int(value) ?? 1
        case "ignore": ignored.append(value)
        case "body": setBody(value)
        case "C": expectSent(value, at: number)
        case "verdict": expectVerdict(value, at: number)
        case "closed": if !exchange.dialogue.isClosed { complain("the session is not closed", at: number) }
        case "policy": choose(value, at: number)
        case "host": host = value
        case "login", "token": setLogin(value, parts[0] == "login" ? .password : .token)
        case "S": happens(at: number) { $0.says(value) }
        case "octets": happens(at: number) { $0.hears(Self.unescaped(value)) }
        case "long": longReply(value, at: number)
        case "lines": happens(at: number) { $0.says(Self.manyLines(value)) }
        case "passes": passes(value, at: number)
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

    private var adjust: (inout RelayConfiguration) -> Void {
        { [mailProtocol, ignored, chunkBytesMax] relay in
            relay.mailProtocol = mailProtocol
            relay.ignoredExtensions = ignored
            relay.chunkBytesMax = chunkBytesMax
        }
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
        pending.append(
            Mail(
                job: JobID(raw: Int64(pending.count + 1)), sender: words[0] == "<>" ? "" : words[0],
                recipients: Array(words.dropFirst(2)), message: ByteBuffer(string: "test\r\n"), needs8BitMIME: is8Bit))
    }

    /// `notify=failure,delay ret=full envid=TEXT`, any of them.
    private mutating func setDSN(_ value: String, at number: Int) {
        var request = DSNRequest()
        for word in value.split(separator: " ") {
            let pair = word.split(separator: "=", maxSplits: 1).map(String.init)
            switch pair.first {
            case "notify":
                let names: [(String, DSNRequest.Occasions)] = [
                    ("success", .success), ("failure", .failure), ("delay", .delay),
                ]
                request.notify = names.reduce(into: []) { if pair[1].contains($1.0) { $0.insert($1.1) } }
            case "ret": request.content = DSNRequest.Content(rawValue: pair[1])
            case "envid": request.envelopeID = pair[1]
            default: complain("no such part of dsn: \(word)", at: number)
            }
        }
        pending[pending.count - 1].dsn = request
    }

    private mutating func setBody(_ value: String) {
        pending[pending.count - 1].message = ByteBuffer(string: Self.unescaped(value))
    }

    private static func unescaped(_ value: String) -> String {
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
        return body
    }

    /// `OCTETS LINE`: the line, made as long by an x for each octet that is missing.
    private mutating func longReply(_ value: String, at number: Int) {
        let parts = value.split(separator: " ", maxSplits: 1).map(String.init)
        let length = Int(parts[0]) ?? 0
        let line = parts[1] + String(repeating: "x", count: max(0, length - parts[1].utf8.count))
        happens(at: number) { $0.says(line) }
    }

    /// `COUNT CODE`: a reply of so many lines.
    private static func manyLines(_ value: String) -> String {
        let parts = value.split(separator: " ").map(String.init)
        let count = Int(parts[0]) ?? 1
        return (1...count).map { "\(parts[1])\($0 < count ? "-" : " ")line \($0)" }.joined(separator: "\r\n")
    }

    /// The clock goes on by so many seconds, and the owner of the dialogue does as `SMTPConnection.watch` does.
    private mutating func passes(_ value: String, at number: Int) {
        seconds += Int64(value) ?? 0
        guard let awaited = exchange.dialogue.awaited, seconds >= awaited.patience else { return }
        happens(at: number) { $0.tell { $0.timedOut() } }
    }

    /// Something the client reacts to. What it sent before must have been expected by now.
    private mutating func happens(at number: Int, _ step: (Exchange) -> String) {
        for line in sent { complain("sent beyond what is expected: \(line)", at: number) }
        seconds = 0
        sent = lines(of: step(exchange))
        while exchange.dialogue.room > 0, let mail = pending.first {
            pending.removeFirst()
            sent += lines(of: exchange.submit(mail))
        }
    }

    private func lines(of text: String) -> [String] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        // A chunk may end anywhere.
        return lines.last == "" ? lines.dropLast() : lines
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
