// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

extension MessageComposer {
    /// The message that carries a report: three parts in a multipart/report (RFC 6522). It is ASCII throughout, but for
    /// a recipient in its header whose address has no ASCII form. Date and Message-ID are left to `pass`, as of any
    /// finished message.
    package static func compose(_ report: DeliveryReport) throws(ComposeError) -> [UInt8] {
        let returned = ReturnedContent(report)
        let boundary = Self.boundary(report, avoiding: returned.bytes)
        var writer = MessageWriter(capacity: 4096 + returned.bytes.count)
        try writer.appendAddresses("From:", [report.from], field: "from")
        try writer.appendAddresses("To:", [report.to], field: "to")
        writer.append("Subject: Your mail could not be delivered\r\n")
        // RFC 3834 §5: no other program answers it.
        writer.append("Auto-Submitted: auto-replied\r\n")
        if let id = returned.messageID {
            // RFC 3834 §3.1.6: it belongs to the mail that failed.
            try writer.appendCustomField("In-Reply-To", id)
            try writer.appendCustomField("References", id)
        }
        writer.append("MIME-Version: 1.0\r\n")
        writer.openReport(boundary)
        writer.beginPart(.report, boundary)
        writer.appendTextPart("plain", Array(text(report).utf8), avoiding: boundary)
        writer.beginPart(.report, boundary)
        writer.appendStatus(report)
        writer.beginPart(.report, boundary)
        returned.append(to: &writer)
        writer.closeMultipart(.report, boundary)
        writer.endLine()
        return writer.bytes
    }

    /// RFC 2046 §5.1.1: what comes back must not hold it, and is not encoded, so another one is looked for.
    private static func boundary(_ report: DeliveryReport, avoiding bytes: [UInt8]) -> Boundary {
        var number = 0
        while true {
            let boundary = Boundary(messageID: "report\(number).\(report.job)@\(report.hostname)")
            if !bytes.withUnsafeBytes({ boundary.occurs(in: $0) }) { return boundary }
            number += 1
        }
    }

    private static func text(_ report: DeliveryReport) -> String {
        let isSeveral = report.recipients.count > 1
        var text = """
            This is maild, the mail service of \(report.hostname).

            Your mail could not be delivered to \(isSeveral ? "these recipients" : "this recipient"):


            """
        for recipient in report.recipients {
            let server = recipient.server.map { " (said by \($0))" } ?? ""
            text += "  <\(recipient.address)>\n    \(recipient.words)\(server)\n\n"
        }
        text += """
            It will not be tried again\(isSeveral ? " for them" : ""). The mail, or its header, is attached.
            For whoever runs \(report.hostname): this was job \(report.job).

            """
        return text
    }
}

extension MessageWriter {
    /// RFC 6522 §3: report-type is required.
    fileprivate mutating func openReport(_ boundary: Boundary) {
        append("Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"")
        boundary.append(.report, to: &self)
        append("\"\r\n")
    }

    /// RFC 3464 §2: fields for the message, then a group of fields for each recipient, with empty lines between them.
    fileprivate mutating func appendStatus(_ report: DeliveryReport) {
        append("Content-Type: message/delivery-status\r\n\r\n")
        // RFC 3464 §2.2.1: given back as it came, decoded.
        if let id = report.envelopeID { appendStatusField("Original-Envelope-Id: ", id) }
        appendStatusField("Reporting-MTA: ", "dns; \(report.hostname)")
        appendStatusDate("Arrival-Date: ", report.job.time)
        for recipient in report.recipients {
            endLine()
            appendStatus(recipient)
        }
    }

    private mutating func appendStatus(_ recipient: DeliveryReport.Recipient) {
        let address = recipient.address
        // RFC 6533 §3: an address beyond ASCII in its ASCII form, so that the part stays a message/delivery-status.
        let isASCII = address.utf8.allSatisfy { $0 < 0x80 }
        appendStatusField(
            "Final-Recipient: ", isASCII ? "rfc822; \(address)" : "utf-8; \(Xtext.encodeInternational(address))")
        append("Action: failed\r\n")
        appendStatusField("Status: ", recipient.status)
        // RFC 3464 §2.3.5: only where a server has spoken.
        if let server = recipient.server { appendStatusField("Remote-MTA: ", "dns; \(server)") }
        if recipient.reply != nil {
            // RFC 3464 §2.3.6: `smtp` is for what another server said, `x-…` for our own words.
            let type = recipient.isServersReply ? "smtp" : "x-maild"
            appendStatusField("Diagnostic-Code: ", "\(type); \(recipient.words)")
        }
        if let time = recipient.lastAttempt { appendStatusDate("Last-Attempt-Date: ", time) }
    }

    private mutating func appendStatusDate(_ name: StaticString, _ time: WallTime) {
        append(name)
        MailDate.append(time, to: &self)
        endLine()
    }

    /// RFC 3464 §2.1.1: fields as in a header, in ASCII; what is beyond it, or a control, becomes a question mark or a
    /// blank. Folded before blanks; a word that is longer than any line is cut.
    private mutating func appendStatusField(_ name: StaticString, _ value: String) {
        append(name)
        let text = value.unicodeScalars.map { scalar -> UInt8 in
            guard scalar.isASCII else { return UInt8(ascii: "?") }
            return scalar.value < 0x20 || scalar.value == 0x7F ? 0x20 : UInt8(scalar.value)
        }
        for (index, word) in text.split(separator: 0x20).enumerated() {
            if index > 0 {
                foldIfNeeded(for: word.count + 1)
                append(0x20)
            }
            append(word.prefix(HeaderWords.wordOctetsMax))
        }
        endLine()
    }
}
