// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What a server with these capabilities cannot be given: told at once, without asking it.
struct Admission {
    let capabilities: Capabilities
    /// host:port, for the reasons.
    let server: String

    /// Recipients that get no RCPT, in their order, each with its verdict; all of them where the mail itself cannot go.
    func refused(_ mail: Mail) -> [(recipient: Int, verdict: Verdict)] {
        if let reason = refusal(of: mail) {
            return mail.recipients.indices.map { ($0, .rejected(reason)) }
        }
        var refused: [(recipient: Int, verdict: Verdict)] = []
        for (index, recipient) in mail.recipients.enumerated() {
            if let reason = refusal(ofRecipient: recipient) { refused.append((index, .rejected(reason))) }
        }
        return refused
    }

    private func refusal(of mail: Mail) -> Reply? {
        let bytes = mail.message.readableBytes
        // RFC 1870 §6.1: what is known to be too large is not sent.
        if let bytesMax = capabilities.messageBytesMax, bytes > bytesMax {
            return Reply(552, "5.3.4", "the message has \(bytes) octets, \(server) takes at most \(bytesMax)")
        }
        // RFC 6152 §3: without the offer no 8-bit body may be sent.
        if mail.needs8BitMIME && !capabilities.eightBitMIME {
            return Reply(554, "5.6.3", "the message has 8-bit content, and \(server) does not offer 8BITMIME")
        }
        // RFC 6531 §3.2: nor a header with addresses beyond ASCII. RFC 3463 as extended by RFC 6531 §4.3: X.6.7.
        if mail.needsSMTPUTF8 && !capabilities.smtpUTF8 {
            return Reply(553, "5.6.7", "the message's header is not ASCII, and \(server) does not offer SMTPUTF8")
        }
        return refusal(of: mail.sender, as: "sender", status: "5.1.7")
    }

    private func refusal(ofRecipient recipient: String) -> Reply? {
        recipient.isEmpty
            ? Reply(553, "5.1.3", "the recipient is empty") : refusal(of: recipient, as: "recipient", status: "5.1.3")
    }

    private func refusal(of address: String, as role: String, status: String) -> Reply? {
        switch AddressForm(address) {
        case .ascii: return nil
        case .unsafe: return Reply(553, status, "the \(role) cannot be written in an SMTP command")
        case .international:
            // RFC 6531 §3.2: such an address goes only where SMTPUTF8 is offered.
            guard !capabilities.smtpUTF8 else { return nil }
            return Reply(553, "5.6.7", "the \(role) is not ASCII, and \(server) does not offer SMTPUTF8")
        }
    }
}
