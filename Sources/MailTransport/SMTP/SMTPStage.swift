// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What a client waits for, in the order of a session.
package enum SMTPStage: String, CaseIterable, Sendable {
    case greeting
    /// EHLO, or HELO after it.
    case hello
    case startTLS
    /// Not a reply: TLS comes about.
    case handshake
    /// AUTH and what follows it.
    case login
    case mail
    case recipient
    case data
    /// Not a reply: the server takes the message's octets.
    case body
    /// The reply to a BDAT that is not the last.
    case chunk
    /// The reply to the end of data, or to BDAT LAST. By LMTP one for each recipient.
    case end
    case reset
    case quit

    /// Seconds after which the server is given up. RFC 5321 §4.5.3.2 sets the minimum for each step; it has none for
    /// EHLO, STARTTLS, AUTH, RSET and QUIT. QUIT is kept short because nothing depends on its reply.
    package var patience: Int64 {
        switch self {
        case .greeting: 300  // RFC 5321 §4.5.3.2.1
        case .hello: 300
        case .startTLS: 120
        case .handshake: 60
        case .login: 120
        case .mail: 300  // RFC 5321 §4.5.3.2.2
        case .recipient: 300  // RFC 5321 §4.5.3.2.3
        case .data: 120  // RFC 5321 §4.5.3.2.4
        case .body: 180  // RFC 5321 §4.5.3.2.5: for each block, not for the whole
        case .chunk: 180  // as for a block; RFC 3030 names no time
        case .end: 600  // RFC 5321 §4.5.3.2.6
        case .reset: 60
        case .quit: 10
        }
    }

    /// Completes "while waiting for …".
    var awaited: String {
        switch self {
        case .greeting: "the greeting"
        case .hello: "the reply to EHLO"
        case .startTLS: "the reply to STARTTLS"
        case .handshake: "the TLS handshake"
        case .login: "the reply to AUTH"
        case .mail: "the reply to MAIL"
        case .recipient: "the reply to RCPT"
        case .data: "the reply to DATA"
        case .body: "the server to take the message"
        case .chunk: "the reply to BDAT"
        case .end: "the reply to the end of data"
        case .reset: "the reply to RSET"
        case .quit: "the reply to QUIT"
        }
    }
}
