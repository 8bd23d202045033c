// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The body of a message and the MIME fields before it.
///
/// RFC 2046 §5.1 and RFC 2387: `mixed(alternative(text, related(html, inline …)), attachment …)`, without the
/// multiparts that would hold one part only.
struct Content {
    private let fields: MessageFields
    private let boundary: Boundary
    /// Shown within the HTML.
    private let inline: [Int]
    private let attached: [Int]

    init(_ fields: MessageFields) {
        self.fields = fields
        boundary = Boundary(messageID: fields.messageID)
        let hasHTML = fields.html != nil
        inline = fields.attachments.indices.filter { hasHTML && fields.attachments[$0].contentID != nil }
        attached = fields.attachments.indices.filter { !hasHTML || fields.attachments[$0].contentID == nil }
    }

    /// From the first Content field to the end of the body, without a CRLF after it.
    func append(to writer: inout MessageWriter) throws(ComposeError) {
        guard !attached.isEmpty else { return try appendText(to: &writer) }
        writer.openMultipart("mixed", .mixed, boundary)
        if fields.text != nil || fields.html != nil {
            writer.beginPart(.mixed, boundary)
            try appendText(to: &writer)
        }
        for index in attached {
            writer.beginPart(.mixed, boundary)
            try writer.appendAttachment(fields.attachments[index], index, isInline: false, boundary)
        }
        writer.closeMultipart(.mixed, boundary)
    }

    /// RFC 2046 §5.1.4: the last alternative is the richest.
    private func appendText(to writer: inout MessageWriter) throws(ComposeError) {
        guard let html = fields.html else {
            return writer.appendTextPart("plain", fields.text ?? [], avoiding: boundary)
        }
        guard let text = fields.text else { return try appendHTML(html, to: &writer) }
        writer.openMultipart("alternative", .alternative, boundary)
        writer.beginPart(.alternative, boundary)
        writer.appendTextPart("plain", text, avoiding: boundary)
        writer.beginPart(.alternative, boundary)
        try appendHTML(html, to: &writer)
        writer.closeMultipart(.alternative, boundary)
    }

    private func appendHTML(_ html: [UInt8], to writer: inout MessageWriter) throws(ComposeError) {
        guard !inline.isEmpty else { return writer.appendTextPart("html", html, avoiding: boundary) }
        writer.openMultipart("related", .related, boundary)
        writer.beginPart(.related, boundary)
        writer.appendTextPart("html", html, avoiding: boundary)
        for index in inline {
            writer.beginPart(.related, boundary)
            try writer.appendAttachment(fields.attachments[index], index, isInline: true, boundary)
        }
        writer.closeMultipart(.related, boundary)
    }
}

extension MessageWriter {
    /// A text with its fields. RFC 2046 §4.1.2: the least charset that holds it is named.
    mutating func appendTextPart(_ subtype: StaticString, _ bytes: [UInt8], avoiding boundary: Boundary?) {
        let text = BodyText(bytes, avoiding: boundary)
        append("Content-Type: text/")
        append(subtype)
        append(text.isASCII ? "; charset=us-ascii\r\n" : "; charset=utf-8\r\n")
        appendTransferEncoding(text.encoding)
        endLine()
        appendText(text)
    }

    mutating func appendTransferEncoding(_ encoding: TransferEncoding) {
        switch encoding {
        case .sevenBit: append("Content-Transfer-Encoding: 7bit")
        case .quotedPrintable: append("Content-Transfer-Encoding: quoted-printable")
        case .base64: append("Content-Transfer-Encoding: base64")
        }
        endLine()
    }
}
