// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The Bidi rule (RFC 5893 §2) in a stricter form that needs no table of directions: in a label written from right to
/// left only letters of such scripts, their marks, digits and hyphens.
enum IDNADirection {
    static func check(_ labels: [[Unicode.Scalar]]) throws(IDNAError) {
        guard labels.contains(where: { $0.contains(where: isRightToLeft) }) else { return }
        for label in labels {
            if label.contains(where: isRightToLeft) {
                try checkRightToLeft(label)
            } else if let first = label.first, isDigit(first) {
                // RFC 5893 §2 (1): in a name that has such a label no other one begins with a digit.
                throw IDNAError(label, "begins with a digit beside one written from right to left")
            }
        }
    }

    /// RFC 5893 §2 (1) to (4).
    private static func checkRightToLeft(_ label: [Unicode.Scalar]) throws(IDNAError) {
        guard label.first.map(isLetter) == true else {
            throw IDNAError(label, "is written from right to left and does not begin with a letter")
        }
        for scalar in label where !isLetter(scalar) && !isMark(scalar) && !isDigit(scalar) && scalar != "-" {
            throw IDNAError(label, "mixes directions: \(IDNALabel.shown(scalar)) beside letters from right to left")
        }
        guard let last = label.last(where: { !isMark($0) }), last != "-" else {
            throw IDNAError(label, "is written from right to left and ends in a hyphen")
        }
        let hasArabicDigits = label.contains { (0x660...0x669).contains($0.value) }
        let hasOtherDigits = label.contains { isDigit($0) && !(0x660...0x669).contains($0.value) }
        guard !hasArabicDigits || !hasOtherDigits else { throw IDNAError(label, "mixes two kinds of digits") }
    }

    /// The blocks whose letters have the directions R and AL, and the digits that make a name one of theirs.
    private static func isRightToLeft(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x590...0x8FF, 0xFB1D...0xFDFF, 0xFE70...0xFEFF, 0x10800...0x10FFF, 0x1E800...0x1EFFF:
            !isMark(scalar) && !(0x6F0...0x6F9).contains(scalar.value)
        default: false
        }
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        guard isRightToLeft(scalar) else { return false }
        let category = scalar.properties.generalCategory
        return category == .otherLetter || category == .lowercaseLetter || category == .modifierLetter
            || scalar.value == 0x5F3 || scalar.value == 0x5F4 || scalar.value == 0x6FD || scalar.value == 0x6FE
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .nonspacingMark
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x30...0x39, 0x660...0x669, 0x6F0...0x6F9: true
        default: false
        }
    }
}
