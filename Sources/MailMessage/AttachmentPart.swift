// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

extension MessageWriter {
    /// One attachment with its fields; `index` is its place in the job, for errors.
    mutating func appendAttachment(
        _ attachment: Attachment, _ index: Int, isInline: Bool, _ boundary: Boundary
    ) throws(ComposeError) {
        let place = "attachments[\(index)]"
        guard let type = ContentType(attachment.contentType) else {
            throw ComposeError(field: "\(place).content_type", reason: "is not of the form type/subtype; name=value")
        }
        // RFC 2046 §5.1 and §5.2.1: such parts have a structure of their own and may not be encoded.
        guard !type.essence.hasPrefix("multipart/") else {
            throw ComposeError(field: "\(place).content_type", reason: "may not be a multipart")
        }
        let (isMessage, travelsAsItIs) = Self.message(attachment, type, boundary)
        append("Content-Type:")
        let shownType = isMessage && !travelsAsItIs ? "application/octet-stream" : attachment.contentType
        appendWords(HeaderWords(Array(shownType.utf8), encodes: .beyondASCII))
        endLine()
        appendTransferEncoding(travelsAsItIs ? .sevenBit : .base64)
        try appendDisposition(attachment, place, isInline: isInline)
        endLine()
        if travelsAsItIs {
            appendLines(attachment.data, hasCR: true)
        } else {
            appendBase64(attachment.data)
        }
    }

    /// RFC 2046 §5.2: base64 is forbidden for a message within a message. One that is 7bit goes as it is; any other
    /// goes as a file of octets, so that not one of them is lost.
    private static func message(
        _ attachment: Attachment, _ type: ContentType, _ boundary: Boundary
    ) -> (isMessage: Bool, travelsAsItIs: Bool) {
        switch type.essence {
        case "message/rfc822", "message/partial", "message/external-body":
            (true, BodyText(attachment.data, avoiding: boundary).encoding == .sevenBit)
        default: (false, false)
        }
    }

    /// RFC 2183 §2; RFC 2392 §2 for the Content-ID.
    private mutating func appendDisposition(
        _ attachment: Attachment, _ place: String, isInline: Bool
    ) throws(ComposeError) {
        if let contentID = attachment.contentID {
            guard Self.isContentID(contentID) else {
                throw ComposeError(
                    field: "\(place).cid", reason: "is not 1 to 200 printable ASCII characters without blanks or <>")
            }
            append("Content-ID: <")
            append(contentID)
            append(0x3E)
            endLine()
        }
        append(isInline ? "Content-Disposition: inline" : "Content-Disposition: attachment")
        if let name = attachment.name, !name.isEmpty {
            guard !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
                throw ComposeError(field: "\(place).name", reason: "has a control character")
            }
            appendParameter("filename", name)
        }
        endLine()
    }

    private static func isContentID(_ text: String) -> Bool {
        let octets = text.utf8
        guard (1...200).contains(octets.count) else { return false }
        return octets.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x3C && $0 != 0x3E }
    }
}
