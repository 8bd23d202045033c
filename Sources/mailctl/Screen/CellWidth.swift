// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// How many columns of a terminal a text takes, and cutting it to fit.
package enum CellWidth {
    package static func of(_ text: String) -> Int {
        text.utf8.count == text.unicodeScalars.count
            ? text.utf8.count : text.unicodeScalars.reduce(0) { $0 + of($1) }
    }

    /// At most `width` columns, `…` in place of what had to go.
    package static func cut(_ text: String, to width: Int) -> String {
        guard width > 0 else { return "" }
        guard of(text) > width else { return text }
        var kept = ""
        var used = 1  // the ellipsis
        for character in text {
            let wide = character.unicodeScalars.reduce(0) { $0 + of($1) }
            if used + wide > width { break }
            kept.append(character)
            used += wide
        }
        return kept + "…"
    }

    private static func of(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.value {
        case ..<0x300: return 1
        // East Asian wide and full-width forms, emoji (Unicode TR 11, by blocks).
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
            return 2
        default:
            switch scalar.properties.generalCategory {
            case .nonspacingMark, .enclosingMark, .format: return 0
            default: return 1
            }
        }
    }
}
