// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What an app may put into `headers`.
enum HeaderRules {
    /// `Name:` still leaves room for a blank and a letter in 78 octets.
    static let nameBytesMax = 75
    /// Set by other fields of the job, by the way the message goes, or by whoever signs it.
    private static let reserved: Set<String> = [
        "from", "to", "cc", "bcc", "reply-to", "subject", "sender", "mime-version", "received", "return-path",
        "dkim-signature", "resent-bcc",
    ]
    /// RFC 5322 §3.6: at most one of each.
    private static let single: Set<String> = ["date", "message-id", "in-reply-to", "references"]

    struct Supplied {
        var date = false
        var messageID = false
    }

    /// Throws at the first field that may not stand in a message; tells which of ours the app has replaced.
    static func check(_ headers: [(name: String, value: String)]) throws(ComposeError) -> Supplied {
        guard headers.count <= Limits.headersMax else {
            throw ComposeError(field: "headers", reason: "has more than \(Limits.headersMax) fields")
        }
        var seen: Set<String> = []
        var supplied = Supplied()
        for (name, value) in headers {
            let key = name.lowercased()
            try checkName(name, key: key)
            guard !single.contains(key) || seen.insert(key).inserted else {
                throw ComposeError(field: "headers.\(name)", reason: "may stand there only once")
            }
            if key == "date" { supplied.date = try accept(name, MailDate.isValid(value), "is no date of RFC 5322") }
            if key == "message-id" {
                supplied.messageID = try accept(name, isMessageID(value), "is not of the form <left@right>")
            }
        }
        return supplied
    }

    private static func accept(_ name: String, _ isValid: Bool, _ fault: String) throws(ComposeError) -> Bool {
        guard isValid else { throw ComposeError(field: "headers.\(name)", reason: fault) }
        return true
    }

    private static func checkName(_ name: String, key: String) throws(ComposeError) {
        // RFC 5322 §2.2: printable ASCII but the colon.
        guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3A }) else {
            let shown = MailboxError(name, "is no name of a header field").reason
            throw ComposeError(field: "headers", reason: shown)
        }
        guard name.utf8.count <= nameBytesMax else {
            throw ComposeError(field: "headers", reason: "has a name of more than \(nameBytesMax) octets")
        }
        guard !reserved.contains(key), !key.hasPrefix("content-") else {
            throw ComposeError(field: "headers.\(name)", reason: "is not the app's to set here")
        }
    }

    /// RFC 5322 §3.6.4: `<left@right>`, dots and atom characters on both sides, or a literal at the right.
    static func isMessageID(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            guard bytes.count > 4, bytes.count <= HeaderWords.wordOctetsMax, bytes.first == 0x3C, bytes.last == 0x3E
            else { return false }
            let inner = bytes[1..<(bytes.count - 1)]
            guard let at = inner.firstIndex(of: 0x40), isDotAtom(inner[..<at]) else { return false }
            let right = inner[(at + 1)...]
            let isLiteral = right.count > 2 && right.first == 0x5B && right.last == 0x5D
            return isLiteral ? right.dropFirst().dropLast().allSatisfy(isLiteralText) : isDotAtom(right)
        }
    }

    /// RFC 5322 §3.4.1 dtext.
    private static func isLiteralText(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && !(0x5B...0x5D).contains(byte)
    }

    private static func isDotAtom(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        var previous: UInt8 = 0x2E
        for byte in bytes {
            guard byte == 0x2E ? previous != 0x2E : ASCII.isAtomText(byte) else { return false }
            previous = byte
        }
        return previous != 0x2E
    }
}
