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

    package init() {}

    /// Reads the lines' texts. The first is the server's name and greeting (RFC 5321 §4.1.1.1).
    package init(ehlo texts: [String]) {
        for text in texts.dropFirst() {
            let words = text.split(separator: " ")
            guard let keyword = words.first else { continue }
            add(keyword.uppercased(), parameter: words.dropFirst().first)
        }
    }

    private mutating func add(_ keyword: String, parameter: Substring?) {
        switch keyword {
        case "PIPELINING": pipelining = true
        case "8BITMIME": eightBitMIME = true
        case "SMTPUTF8": smtpUTF8 = true
        case "SIZE":
            size = true
            // RFC 1870 §4: zero means that no fixed maximum is in force.
            messageBytesMax = parameter.flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
        default: break
        }
    }
}
