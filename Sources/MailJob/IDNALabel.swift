// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// One label with letters beyond ASCII, mapped already: whether it is a U-label (RFC 5891 §4.2).
struct IDNALabel {
    private let scalars: [Unicode.Scalar]

    init(_ scalars: [Unicode.Scalar]) { self.scalars = scalars }

    func check() throws(IDNAError) {
        // RFC 5891 §4.2.3.1
        guard scalars.first != "-", scalars.last != "-" else { throw fault("begins or ends with a hyphen") }
        guard scalars.count < 4 || scalars[2] != "-" || scalars[3] != "-" else {
            throw fault("has hyphens in its third and fourth place")
        }
        // RFC 5891 §4.2.3.2
        guard scalars.first.map(Self.isMark) != true else { throw fault("begins with a combining mark") }
        for (index, scalar) in scalars.enumerated() {
            switch IDNAClass(scalar) {
            case .valid: break
            case .inContext where isInContext(scalar, at: index): break
            case .inContext: throw fault("has \(Self.shown(scalar)) where its script does not allow it")
            case .disallowed: throw fault("has \(Self.shown(scalar)), which no domain name may hold")
            }
        }
    }

    private func fault(_ what: String) -> IDNAError { IDNAError(scalars, what) }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: true
        default: false
        }
    }

    static func shown(_ scalar: Unicode.Scalar) -> String {
        let hex = String(scalar.value, radix: 16, uppercase: true)
        return "U+" + String(repeating: "0", count: max(0, 4 - hex.count)) + hex
    }

    /// RFC 5892 appendix A. Of A.1 only the first half: joining types are not known here.
    private func isInContext(_ scalar: Unicode.Scalar, at index: Int) -> Bool {
        let before = index > 0 ? scalars[index - 1] : nil
        let after = index + 1 < scalars.count ? scalars[index + 1] : nil
        switch scalar.value {
        case 0x200C, 0x200D: return before?.properties.canonicalCombiningClass == .virama
        case 0xB7: return before == "l" && after == "l"
        case 0x375:
            return after.map { (0x370...0x3FF).contains($0.value) || (0x1F00...0x1FFF).contains($0.value) } ?? false
        case 0x5F3, 0x5F4: return before.map { (0x591...0x5F4).contains($0.value) } ?? false
        case 0x30FB: return scalars.contains(where: Self.isJapanese)
        case 0x660...0x669: return !scalars.contains { (0x6F0...0x6F9).contains($0.value) }
        case 0x6F0...0x6F9: return !scalars.contains { (0x660...0x669).contains($0.value) }
        default: return false
        }
    }

    /// Hiragana, Katakana or Han.
    private static func isJapanese(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x30FB: false
        case 0x3005, 0x3007, 0x3041...0x3096, 0x309D...0x309F, 0x30A1...0x30FF, 0x31F0...0x31FF: true
        default: scalar.properties.isIdeographic
        }
    }
}

/// What RFC 5892 §3 makes of a code point; the order of the rules is its order.
enum IDNAClass: Equatable {
    case valid
    /// CONTEXTJ and CONTEXTO.
    case inContext
    /// DISALLOWED and UNASSIGNED.
    case disallowed

    init(_ scalar: Unicode.Scalar) {
        if let exception = Self.exception(scalar.value) {
            self = exception
        } else if scalar.isASCII {
            self = scalar == "-" || ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar) ? .valid : .disallowed
        } else if scalar.value == 0x200C || scalar.value == 0x200D {
            self = .inContext
        } else {
            self =
                Self.isOldJamo(scalar.value) || Self.isIgnorable(scalar)
                    // §2.2 Unstable: what case folding and compatibility mapping would change.
                    || scalar.properties.changesWhenNFKCCaseFolded || !Self.isLetterOrDigit(scalar)
                ? .disallowed : .valid
        }
    }

    /// RFC 5892 §2.6
    private static func exception(_ value: UInt32) -> IDNAClass? {
        switch value {
        case 0xDF, 0x3C2, 0x6FD, 0x6FE, 0xF0B, 0x3007: .valid
        case 0xB7, 0x375, 0x5F3, 0x5F4, 0x30FB, 0x660...0x669, 0x6F0...0x6F9: .inContext
        case 0x640, 0x7FA, 0x302E, 0x302F, 0x3031...0x3035, 0x303B: .disallowed
        default: nil
        }
    }

    /// RFC 5892 §2.9
    private static func isOldJamo(_ value: UInt32) -> Bool {
        (0x1100...0x11FF).contains(value) || (0xA960...0xA97F).contains(value) || (0xD7B0...0xD7FF).contains(value)
    }

    /// RFC 5892 §2.3 and §2.4
    private static func isIgnorable(_ scalar: Unicode.Scalar) -> Bool {
        let properties = scalar.properties
        return properties.isDefaultIgnorableCodePoint || properties.isWhitespace
            || properties.isNoncharacterCodePoint || (0x20D0...0x20FF).contains(scalar.value)
            || (0x1D100...0x1D1FF).contains(scalar.value) || (0x1D200...0x1D24F).contains(scalar.value)
    }

    /// RFC 5892 §2.1
    private static func isLetterOrDigit(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .lowercaseLetter, .uppercaseLetter, .otherLetter, .decimalNumber, .modifierLetter, .nonspacingMark,
            .spacingMark:
            true
        default: false
        }
    }
}
