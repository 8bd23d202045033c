// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// One address as a person writes it: `user@example.com`, `Ann Example <user@example.com>` or
/// `"Ann, E." <user@example.org>` (RFC 5322 §3.4), with UTF-8 allowed everywhere (RFC 6532 §3.2).
package struct Mailbox: Hashable, Sendable {
    /// Plain text without quotes or escapes; never empty.
    package let displayName: String?
    /// As it goes over the wire: a dot-atom, or a quoted string with its quotes where no dot-atom says the same.
    package let localPart: String
    /// A name in ASCII, A-labels in place of letters beyond it (RFC 5890 §2.3.2.1), or a literal with its brackets.
    package let domain: String

    /// RFC 5321 §4.1.2 Mailbox: goes between the angle brackets of MAIL and RCPT.
    package var address: String { "\(localPart)@\(domain)" }

    /// RFC 6531 §3.1: no ASCII form of such a local part exists, so its server must offer SMTPUTF8.
    package var needsSMTPUTF8: Bool { !localPart.utf8.allSatisfy { $0 < 0x80 } }

    /// For callers that have checked the parts.
    package init(displayName: String? = nil, localPart: String, domain: String) {
        self.displayName = displayName
        self.localPart = localPart
        self.domain = domain
    }

    /// Blanks around the whole are dropped; everything else that is not an address is an error.
    package init(parsing text: some StringProtocol) throws(MailboxError) {
        self = try MailboxReader(text).read()
    }

    /// Whether `bytes` are certainly an ASCII `dot-atom@host.name` within all limits, such as nearly every address is.
    /// False only means that `init(parsing:)` must decide. Allocates nothing.
    package static func isPlainAddress(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count <= Limits.addressBytesMax else { return false }
        var index = 0
        var previous: UInt8 = 0x2E
        while index < bytes.count, bytes[index] != 0x40 {
            let byte = bytes[index]
            guard byte == 0x2E ? previous != 0x2E : ASCII.isAtomText(byte) else { return false }
            previous = byte
            index += 1
        }
        guard index < bytes.count, previous != 0x2E, index <= Limits.localPartBytesMax else { return false }
        return isPlainDomain(UnsafeRawBufferPointer(rebasing: bytes[(index + 1)...]))
    }

    /// RFC 5321 §4.1.2 Domain: labels of letters, digits and inner hyphens; RFC 1035 §2.3.4: 63 octets each.
    package static func isPlainDomain(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count <= Limits.domainBytesMax else { return false }
        var labelBytes = 0
        var previous: UInt8 = 0x2D
        for byte in bytes {
            if byte == 0x2E {
                guard labelBytes > 0, previous != 0x2D else { return false }
                labelBytes = 0
            } else {
                guard ASCII.isAlphanumeric(byte) || (byte == 0x2D && labelBytes > 0), labelBytes < 63 else {
                    return false
                }
                labelBytes += 1
            }
            previous = byte
        }
        return labelBytes > 0 && previous != 0x2D
    }
}

/// Why a text is no address: `"a@" has no domain`. The text is shortened, and its control characters are shown as
/// `\u{A}`, so that the reason is fit for one line of a log.
package struct MailboxError: Error, Hashable, CustomStringConvertible {
    package static let shownCharactersMax = 80

    package let reason: String
    package var description: String { reason }

    package init(_ text: some StringProtocol, _ fault: String) {
        let start = text.unicodeScalars.prefix(Self.shownCharactersMax)
        var shown = ""
        for scalar in start {
            shown += scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : String(scalar)
        }
        let dots = start.endIndex < text.unicodeScalars.endIndex ? "…" : ""
        reason = "\"\(shown)\(dots)\" \(fault)"
    }
}

/// Classes of octets in the grammars of RFC 5321 and RFC 5322.
package enum ASCII {
    package static func isAlphanumeric(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26
    }

    /// RFC 5322 §3.2.3 atext.
    package static func isAtomText(_ byte: UInt8) -> Bool {
        // Bit n of `low` is octet n, of `high` octet 64 + n.
        let low: UInt64 = 0xA3FF_ACFA_0000_0000
        let high: UInt64 = 0x7FFF_FFFF_C7FF_FFFE
        guard byte < 0x80 else { return false }
        return (byte < 64 ? low >> UInt64(byte) : high >> UInt64(byte & 63)) & 1 == 1
    }
}
