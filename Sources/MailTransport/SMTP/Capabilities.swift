// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What a server offered in its reply to EHLO; nothing after HELO.
package struct Capabilities: Equatable, Sendable {
    /// RFC 2920.
    package var pipelining = false
    /// RFC 1870: SIZE is offered, so MAIL may declare it.
    package var size = false
    /// The largest message taken, in octets; nil where the server names none.
    package var messageBytesMax: Int?
    /// RFC 6152.
    package var eightBitMIME = false
    /// RFC 6531.
    package var smtpUTF8 = false
    /// RFC 3030: BDAT.
    package var chunking = false
    /// RFC 3461: notices may be asked for.
    package var dsn = false
    /// RFC 3207.
    package var startTLS = false
    /// RFC 4954: the mechanisms, in capitals.
    package var login: [String] = []

    package init() {}

    /// What may be left unused although a server offers it; in capitals. Encryption and login are no such thing.
    package static let optional = ["PIPELINING", "CHUNKING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN"]

    /// Reads the lines' texts. The first is the server's name and greeting (RFC 5321 §4.1.1.1).
    /// - Parameter ignored: of `optional`, what is taken as not offered.
    package init(ehlo texts: [String], ignored: [String] = []) {
        for text in texts.dropFirst() {
            let words = text.split(separator: " ")
            guard let keyword = words.first, !ignored.contains(keyword.uppercased()) else { continue }
            add(keyword.uppercased(), parameter: words.dropFirst().first)
            addLogin(words.map { $0.uppercased() })
        }
    }

    /// `AUTH PLAIN LOGIN`, or `AUTH=PLAIN LOGIN` as before RFC 2554; servers with old clients send both.
    private mutating func addLogin(_ words: [String]) {
        guard words[0] == "AUTH" || words[0].hasPrefix("AUTH=") else { return }
        let first = words[0].dropFirst("AUTH=".count)
        for name in (first.isEmpty ? [] : [String(first)]) + words.dropFirst() where !login.contains(name) {
            login.append(name)
        }
    }

    private mutating func add(_ keyword: String, parameter: Substring?) {
        switch keyword {
        case "PIPELINING": pipelining = true
        case "8BITMIME": eightBitMIME = true
        case "SMTPUTF8": smtpUTF8 = true
        case "CHUNKING": chunking = true
        case "DSN": dsn = true
        case "STARTTLS": startTLS = true
        case "SIZE":
            size = true
            // RFC 1870 §4: zero means that no fixed maximum is in force.
            messageBytesMax = parameter.flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
        default: break
        }
    }
}
