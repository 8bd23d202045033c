// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Makes messages of RFC 5322 and MIME. The same fields always give the same octets: a retry sends what was sent.
package enum MessageComposer {
    package static func compose(_ fields: MessageFields) throws(ComposeError) -> ComposedMessage {
        var writer = MessageWriter(capacity: capacity(for: fields))
        try appendAddresses(fields, to: &writer)
        if let subject = fields.subject { try writer.appendSubject(subject) }
        try appendIdentification(fields, to: &writer)
        // RFC 2045 §4
        writer.append("MIME-Version: 1.0\r\n")
        if fields.attachments.isEmpty, fields.text == nil || fields.html == nil {
            let subtype: StaticString = fields.html == nil ? "plain" : "html"
            writer.appendTextPart(subtype, fields.text ?? fields.html ?? [], avoiding: nil)
        } else {
            try Content(fields).append(to: &writer)
        }
        if !writer.endsInLineEnd { writer.endLine() }
        return ComposedMessage(
            bytes: writer.bytes, needs8BitMIME: false, needsSMTPUTF8: writer.hasUTF8Address)
    }

    /// RFC 5322 §3.6.2–3. There is no Bcc to write: its recipients stand in the envelope alone.
    private static func appendAddresses(
        _ fields: MessageFields, to writer: inout MessageWriter
    ) throws(ComposeError) {
        try writer.appendAddresses("From:", [fields.from], field: "from")
        if !fields.to.isEmpty { try writer.appendAddresses("To:", fields.to, field: "to") }
        if !fields.cc.isEmpty { try writer.appendAddresses("Cc:", fields.cc, field: "cc") }
        if fields.to.isEmpty && fields.cc.isEmpty {
            // RFC 5322 §3.4: an empty group, where all recipients are blind.
            writer.append("To: undisclosed-recipients:;\r\n")
        }
        if !fields.replyTo.isEmpty { try writer.appendAddresses("Reply-To:", fields.replyTo, field: "reply_to") }
    }

    /// Date, Message-ID and the app's own fields; RFC 5322 §3.6: exactly one Date, one Message-ID.
    private static func appendIdentification(
        _ fields: MessageFields, to writer: inout MessageWriter
    ) throws(ComposeError) {
        let supplied = fields.headers.isEmpty ? HeaderRules.Supplied() : try HeaderRules.check(fields.headers)
        if !supplied.date { writer.appendDate(fields.date) }
        if !supplied.messageID { try writer.appendMessageID(fields.messageID) }
        for (name, value) in fields.headers { try writer.appendCustomField(name, value) }
    }

    /// So much that the array grows seldom: not at all for a plain text.
    private static func capacity(for fields: MessageFields) -> Int {
        var count = 512 + fields.from.utf8.count + (fields.subject?.utf8.count ?? 0) * 2
        for list in [fields.to, fields.cc, fields.replyTo] {
            for address in list { count += address.utf8.count + 4 }
        }
        for (name, value) in fields.headers { count += name.utf8.count + value.utf8.count + 8 }
        if let text = fields.text { count += text.count + text.count / 16 }
        if let html = fields.html { count += html.count + html.count / 16 }
        for attachment in fields.attachments { count += 512 + Base64.length(of: attachment.data.count) }
        return count
    }
}

extension MessageWriter {
    var endsInLineEnd: Bool { bytes.last == 0x0A }

    mutating func appendDate(_ time: WallTime) {
        append("Date: ")
        MailDate.append(time, to: &self)
        endLine()
    }

    mutating func appendMessageID(_ messageID: String) throws(ComposeError) {
        guard HeaderRules.isMessageID(messageID) else {
            throw ComposeError(field: "headers.Message-ID", reason: "is not of the form <left@right>")
        }
        append("Message-ID: ")
        append(messageID)
        endLine()
    }
}
