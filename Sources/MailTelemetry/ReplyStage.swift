// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What an SMTP server replied to.
package enum ReplyStage: Int, CaseIterable, Sendable {
    /// The greeting.
    case connect
    /// EHLO, or HELO after it.
    case ehlo
    case starttls
    case auth
    case mail
    case rcpt
    case data
    /// The dot that ends the message.
    case body
    case quit

    package var name: String {
        switch self {
        case .connect: "connect"
        case .ehlo: "ehlo"
        case .starttls: "starttls"
        case .auth: "auth"
        case .mail: "mail"
        case .rcpt: "rcpt"
        case .data: "data"
        case .body: "body"
        case .quit: "quit"
        }
    }
}
