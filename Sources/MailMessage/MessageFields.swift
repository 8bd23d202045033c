// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What a message is made of. Addresses are written as `Mailbox` reads them; there is no Bcc, for blind recipients
/// stand in the envelope alone (RFC 5322 §3.6.3).
package struct MessageFields: Sendable {
    package var from: String
    package var to: [String]
    package var cc: [String]
    package var replyTo: [String]
    package var subject: String?
    /// UTF-8 with lines ended by LF, CRLF or CR.
    package var text: [UInt8]?
    /// As `text`; with both, the two are alternatives of each other.
    package var html: [UInt8]?
    /// Fields beside the ones above, in their order. A Date or Message-ID here replaces `date` or `messageID`.
    package var headers: [(name: String, value: String)]
    package var attachments: [Attachment]
    /// When the job was accepted: the same at every attempt.
    package var date: WallTime
    /// With its angle brackets, the same at every attempt (RFC 5322 §3.6.4).
    package var messageID: String

    package init(
        from: String, to: [String] = [], cc: [String] = [], replyTo: [String] = [], subject: String? = nil,
        text: [UInt8]? = nil, html: [UInt8]? = nil, headers: [(name: String, value: String)] = [],
        attachments: [Attachment] = [], date: WallTime, messageID: String
    ) {
        self.from = from
        self.to = to
        self.cc = cc
        self.replyTo = replyTo
        self.subject = subject
        self.text = text
        self.html = html
        self.headers = headers
        self.attachments = attachments
        self.date = date
        self.messageID = messageID
    }
}

package struct Attachment: Sendable {
    /// File name as shown to the reader; slashes and quotes are kept.
    package var name: String?
    /// `type/subtype` with any parameters (RFC 2045 §5.1).
    package var contentType: String
    package var data: [UInt8]
    /// Without angle brackets: shown where the HTML says `cid:…` (RFC 2392).
    package var contentID: String?

    package init(
        name: String?, contentType: String = "application/octet-stream", data: [UInt8], contentID: String? = nil
    ) {
        self.name = name
        self.contentType = contentType
        self.data = data
        self.contentID = contentID
    }
}

/// An RFC 5322 message, all lines ended by CRLF, no dot-stuffing.
package struct ComposedMessage: Sendable {
    package var bytes: [UInt8]
    /// The body has octets over 127 (RFC 6152). What maild composes never has; a raw message may.
    package var needs8BitMIME: Bool
    /// The header has octets over 127, because of an address that has no ASCII form (RFC 6531 §3.1).
    package var needsSMTPUTF8: Bool
}

/// Why no message can be made. `field` is named as in docs/protocol.md: `subject`, `headers.X-Id`,
/// `attachments[0].cid`.
package struct ComposeError: Error, Hashable, CustomStringConvertible {
    package let field: String
    package let reason: String
    package var description: String { "\(field): \(reason)" }

    package init(field: String, reason: String) {
        self.field = field
        self.reason = reason
    }
}
