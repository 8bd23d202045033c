// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What is spoken with a relay.
package enum MailProtocol: String, CaseIterable, Sendable {
    case smtp
    /// RFC 2033, to a server that delivers into mailboxes: LHLO for EHLO, and a reply for each recipient at the end.
    case lmtp

    /// LMTP has no port of its own; 24 is where servers have it.
    package var usualPort: Int { self == .smtp ? 25 : 24 }
}

/// How mail goes over one session: what is spoken, and what the server offered.
struct SessionTerms: Sendable {
    var mailProtocol = MailProtocol.smtp
    var capabilities = Capabilities()
    /// Octets of a message in one BDAT.
    var chunkBytesMax: Int
}
