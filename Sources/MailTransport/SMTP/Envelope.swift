// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// The commands MAIL and RCPT of one mail, with the parameters that the server takes.
struct Envelope {
    let delivery: Delivery
    let capabilities: Capabilities

    private var mail: Mail { delivery.mail }

    func writeMail(to output: inout ByteBuffer) {
        output.writeStaticString("MAIL FROM:<")
        output.writeString(mail.sender)
        output.writeStaticString(">")
        if capabilities.size {
            // RFC 1870 §5: line ends count, the doubled dots and the last dot do not.
            output.writeStaticString(" SIZE=")
            output.writeString(String(mail.message.readableBytes))
        }
        if mail.needs8BitMIME { output.writeStaticString(" BODY=8BITMIME") }
        if capabilities.smtpUTF8 && isInternational { output.writeStaticString(" SMTPUTF8") }
        if let dsn, let content = dsn.content {
            output.writeString(content == .full ? " RET=FULL" : " RET=HDRS")
        }
        if let id = dsn?.envelopeID { output.writeString(" ENVID=\(Xtext.encode(id))") }
        output.writeStaticString("\r\n")
    }

    /// RFC 6531 §3.4: asked for only where an address or the header needs it.
    private var isInternational: Bool {
        mail.needsSMTPUTF8 || AddressForm(mail.sender) == .international
            || mail.recipients.contains { AddressForm($0) == .international }
    }

    func writeRecipient(_ index: Int, to output: inout ByteBuffer) {
        output.writeStaticString("RCPT TO:<")
        output.writeString(mail.recipients[index])
        output.writeStaticString(">")
        if let dsn { writeNotices(dsn, about: mail.recipients[index], to: &output) }
        output.writeStaticString("\r\n")
    }

    /// RFC 3461 §4: its parameters go only where DSN is offered.
    private var dsn: DSNRequest? { capabilities.dsn ? mail.dsn : nil }

    private func writeNotices(_ dsn: DSNRequest, about recipient: String, to output: inout ByteBuffer) {
        if let notify = dsn.notify {
            // RFC 3461 §4.1: NEVER stands alone.
            let names = [(DSNRequest.Occasions.success, "SUCCESS"), (.failure, "FAILURE"), (.delay, "DELAY")]
            let wanted = names.filter { notify.contains($0.0) }.map(\.1)
            output.writeString(" NOTIFY=\(wanted.isEmpty ? "NEVER" : wanted.joined(separator: ","))")
        }
        // RFC 3461 §4.2: whoever changes the recipient on the way tells of this one. RFC 6533 §3 for one beyond ASCII.
        let original =
            AddressForm(recipient) == .international
            ? "utf-8;\(Xtext.encodeInternational(recipient))" : "rfc822;\(Xtext.encode(recipient))"
        output.writeString(" ORCPT=\(original)")
    }
}
