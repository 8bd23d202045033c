// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What an address asks of the transport, judged by its octets alone; that it is one was checked at submission.
package enum AddressForm: Equatable, Sendable {
    case ascii
    /// Has octets over 127 and needs SMTPUTF8 (RFC 6531).
    case international
    /// Would break out of the brackets of MAIL and RCPT: a control character, or an unquoted space or bracket.
    case unsafe

    package init(_ address: String) {
        var address = address
        self = address.withUTF8 { Self.form(of: $0) }
    }

    private static func form(of address: UnsafeBufferPointer<UInt8>) -> AddressForm {
        var form = AddressForm.ascii
        var isQuoted = false
        var isEscaped = false
        for byte in address {
            if byte < 0x20 || byte == 0x7F { return .unsafe }
            if byte >= 0x80 { form = .international }
            if isEscaped {
                isEscaped = false
            } else if byte == 0x22 {
                isQuoted.toggle()
            } else if isQuoted {
                isEscaped = byte == 0x5C
            } else if byte == 0x20 || byte == 0x3C || byte == 0x3E {
                return .unsafe
            }
        }
        return isQuoted || isEscaped ? .unsafe : form
    }
}
