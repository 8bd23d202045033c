// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

extension MessageWriter {
    /// RFC 5322 §3.6.2–3: `name` with its colon, and the addresses after it. `field` is for errors.
    mutating func appendAddresses(
        _ name: StaticString, _ addresses: [String], field: StaticString
    ) throws(ComposeError) {
        append(name)
        for (index, address) in addresses.enumerated() {
            if index > 0 { append(0x2C) }
            try appendAddress(address, field: field)
        }
        endLine()
    }

    private mutating func appendAddress(_ address: String, field: StaticString) throws(ComposeError) {
        var text = address
        let isPlain = text.withUTF8 { bytes in
            guard Mailbox.isPlainAddress(UnsafeRawBufferPointer(bytes)) else { return false }
            foldBefore(bytes.count)
            append(0x20)
            append(bytes)
            return true
        }
        if isPlain { return }
        do {
            append(try Mailbox(parsing: address))
        } catch {
            throw ComposeError(field: "\(field)", reason: error.reason)
        }
    }

    /// For a blank, a piece of `length` octets and the comma that may follow it. Not right after the field's colon.
    private mutating func foldBefore(_ length: Int) {
        if bytes.last != 0x3A { foldIfNeeded(for: length + 2) }
    }

    private mutating func append(_ mailbox: Mailbox) {
        let address = mailbox.address
        if mailbox.needsSMTPUTF8 { hasUTF8Address = true }
        guard let name = mailbox.displayName else {
            foldBefore(address.utf8.count)
            append(0x20)
            append(address)
            return
        }
        appendPhrase(name, followedBy: address.utf8.count + 3)
        foldBefore(address.utf8.count + 2)
        append(" <")
        append(address)
        append(0x3E)
    }

    /// RFC 5322 §3.2.5: atoms where they say it, else a quoted string, else encoded words outside any quotes
    /// (RFC 2047 §5 (3)). `rest` octets follow that would do well on the same line.
    private mutating func appendPhrase(_ name: String, followedBy rest: Int) {
        let traits = HeaderText(name)
        let quoted = traits.hasNonASCII || traits.hasControl || traits.looksEncoded ? nil : Self.quoted(name)
        guard let quoted, quoted.count <= HeaderWords.firstWordMax else {
            foldForEncodedWord(blanks: 1)
            append(0x20)
            appendEncodedWords(Array(name.utf8)[...])
            return
        }
        let whole = quoted.count + rest
        foldBefore(whole + 2 <= Limits.mailLineBytesWanted ? whole : quoted.count)
        append(0x20)
        append(quoted)
    }

    /// The name itself where it is atoms with single blanks between them, else within quotes (RFC 5322 §3.2.4).
    private static func quoted(_ name: String) -> [UInt8] {
        let words = name.utf8.split(separator: 0x20, omittingEmptySubsequences: false)
        if words.allSatisfy({ !$0.isEmpty && $0.allSatisfy(ASCII.isAtomText) }) { return Array(name.utf8) }
        return QuotedString.encode(name)
    }
}

/// RFC 5322 §3.2.4 and RFC 2045 §5.1.
enum QuotedString {
    static func encode(_ text: String) -> [UInt8] {
        var result: [UInt8] = [0x22]
        for byte in text.utf8 {
            if byte == 0x22 || byte == 0x5C { result.append(0x5C) }
            result.append(byte)
        }
        result.append(0x22)
        return result
    }
}
