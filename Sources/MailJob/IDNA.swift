// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

@_spi(_Unicode) import Swift

/// Domain names beyond ASCII in the form that DNS and every mail server know: `bücher.example` becomes
/// `xn--bcher-kva.example` (IDNA2008, RFC 5890 and 5891).
///
/// What cannot be mapped safely is refused, never guessed. docs/decisions has the limits.
package enum IDNA {
    /// Names that are ASCII already come back as they are. The labels of what comes back are not checked for their
    /// length, nor the ASCII ones for their letters.
    package static func ascii(_ domain: String) throws(IDNAError) -> String {
        guard !domain.utf8.allSatisfy({ $0 < 0x80 }) else { return domain }
        let labels = mapped(domain).split(separator: ".", omittingEmptySubsequences: false).map(Array.init)
        for label in labels where !label.allSatisfy(\.isASCII) { try IDNALabel(label).check() }
        try IDNADirection.check(labels)
        var names: [String] = []
        for label in labels { names.append(try name(label)) }
        return names.joined(separator: ".")
    }

    /// RFC 5895 §2: small letters, letters of usual width, precomposed, with dots between the labels.
    private static func mapped(_ domain: String) -> [Unicode.Scalar] {
        var result = String.UnicodeScalarView()
        for scalar in domain.unicodeScalars {
            result.append(contentsOf: narrow(scalar).properties.lowercaseMapping.unicodeScalars)
        }
        return Array(String(result)._nfc)
    }

    /// Full-width ASCII becomes ASCII, an ideographic full stop a dot.
    private static func narrow(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.value {
        case 0xFF01...0xFF5E: Unicode.Scalar(UInt8(truncatingIfNeeded: scalar.value - 0xFEE0))
        case 0x3002, 0xFF61: "."
        default: scalar
        }
    }

    /// RFC 5890 §2.3.2.1: an A-label is `xn--` and the Punycode of its U-label.
    private static func name(_ label: [Unicode.Scalar]) throws(IDNAError) -> String {
        guard !label.allSatisfy(\.isASCII) else { return String(String.UnicodeScalarView(label)) }
        guard let code = Punycode.encode(label) else { throw IDNAError(label, "is too long") }
        return "xn--\(code)"
    }
}

/// Why a domain has no ASCII form; reads on after an address: `has a domain whose part "a·b" …`.
package struct IDNAError: Error, Hashable {
    package let reason: String

    init(_ label: [Unicode.Scalar], _ fault: String) {
        reason = "has a domain whose part \(MailboxError(String(String.UnicodeScalarView(label)), fault).reason)"
    }
}
