// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// SMTP over standard input and output (`sendmail -bs`), as mail programs speak it to a server of their own machine:
/// the minimum of RFC 5321 §4.5.1, with PIPELINING, 8BITMIME and SMTPUTF8 by the way. Does no I/O.
package struct LocalSession {
    package struct Envelope: Equatable {
        package var sender: String
        package var recipients: [String]
    }

    package enum Step: Equatable {
        /// To be written, with CRLF at its end.
        case reply(String)
        /// Read lines up to the single dot, give them to maild, then call `handed`.
        case data(Envelope)
        case bye(String)
    }

    /// RFC 5321 §4.5.3.1.8: a server takes a hundred at least.
    private static let recipientsMax = 1000

    private let host: String
    private var hasGreeted = false
    private var sender: String?
    private var recipients: [String] = []

    package init(host: String) { self.host = host }

    package var greeting: String { "220 \(host) ESMTP maild" }

    /// - Parameter line: without its end.
    package mutating func take(_ line: String) -> Step {
        let verb = line.prefix { $0 != " " }.uppercased()
        let rest = Aliases.trimmed(line.dropFirst(verb.count))
        switch verb {
        case "HELO", "EHLO": return hello(isExtended: verb == "EHLO")
        case "MAIL": return mail(rest)
        case "RCPT": return recipient(rest)
        case "DATA": return data()
        case "RSET":
            reset()
            return .reply("250 2.0.0 Ok")
        case "NOOP": return .reply("250 2.0.0 Ok")
        // RFC 5321 §3.5.3: no address is confirmed before its mail is tried.
        case "VRFY": return .reply("252 2.0.0 It will be tried")
        case "QUIT": return .bye("221 2.0.0 Bye")
        default: return .reply("500 5.5.2 No such command")
        }
    }

    private mutating func hello(isExtended: Bool) -> Step {
        hasGreeted = true
        reset()
        guard isExtended else { return .reply("250 \(host)") }
        let extensions = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        let lines = ["250-\(host)"] + extensions.dropLast().map { "250-\($0)" } + ["250 \(extensions.last ?? "")"]
        return .reply(lines.joined(separator: "\r\n"))
    }

    private mutating func mail(_ text: String) -> Step {
        // RFC 5321 §4.1.4
        guard hasGreeted, sender == nil else { return .reply("503 5.5.1 Bad sequence of commands") }
        guard let path = Self.path(text, after: "FROM:") else { return .reply("501 5.5.4 MAIL FROM:<address>") }
        sender = path
        return .reply("250 2.1.0 Ok")
    }

    private mutating func recipient(_ text: String) -> Step {
        guard sender != nil else { return .reply("503 5.5.1 MAIL comes first") }
        guard recipients.count < Self.recipientsMax else { return .reply("452 4.5.3 Too many recipients") }
        guard let path = Self.path(text, after: "TO:"), !path.isEmpty else {
            return .reply("501 5.5.4 RCPT TO:<address>")
        }
        recipients.append(path)
        return .reply("250 2.1.5 Ok")
    }

    private mutating func data() -> Step {
        guard let sender, !recipients.isEmpty else { return .reply("503 5.5.1 MAIL and RCPT come first") }
        let envelope = Envelope(sender: sender, recipients: recipients)
        reset()
        return .data(envelope)
    }

    private mutating func reset() {
        sender = nil
        recipients = []
    }

    /// What became of a message, as a reply. `failure` is nil where it is on disk.
    package static func handed(_ job: String, _ failure: Failure?) -> String {
        guard let failure else { return "250 2.0.0 Ok: queued as \(job)" }
        let text = failure.message ?? "failed"
        return failure.status == .badData || failure.status == .usage ? "554 5.6.0 \(text)" : "451 4.3.0 \(text)"
    }

    /// `<ann@example.com> BODY=8BITMIME`: what stands in the brackets; parameters make no difference here.
    private static func path(_ text: String, after keyword: String) -> String? {
        guard text.uppercased().hasPrefix(keyword) else { return nil }
        let rest = Aliases.trimmed(text.dropFirst(keyword.count))
        guard rest.hasPrefix("<") else { return rest.isEmpty ? nil : String(rest.prefix { $0 != " " }) }
        guard let end = rest.lastIndex(of: ">") else { return nil }
        let inner = rest[rest.index(after: rest.startIndex)..<end]
        return inner.contains(">") || inner.contains("<") ? nil : String(inner)
    }
}
