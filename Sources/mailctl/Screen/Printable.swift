// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Text from elsewhere made safe for a terminal: a job's subject must not move the cursor or rename the window.
package enum Printable {
    /// C0, DEL, C1, line separators and what reorders or hides text become `\n`, `\t` or `\u{9B}`.
    package static func text(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isDangerous) else { return text }
        var safe = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": safe += "\\n"
            case "\r": safe += "\\r"
            case "\t": safe += "\\t"
            case _ where isDangerous(scalar): safe += "\\u{" + hexadecimal(scalar.value) + "}"
            default: safe.unicodeScalars.append(scalar)
            }
        }
        return safe
    }

    /// The same for a JSON document, by JSON's own escapes: its meaning stays. Line ends between tokens stay too.
    package static func json(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { isDangerous($0) && $0 != "\n" }) else { return text }
        var safe = ""
        for scalar in text.unicodeScalars {
            if isDangerous(scalar) && scalar != "\n" {
                let digits = hexadecimal(scalar.value)
                safe += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            } else {
                safe.unicodeScalars.append(scalar)
            }
        }
        return safe
    }

    private static func hexadecimal(_ value: UInt32) -> String { String(value, radix: 16, uppercase: true) }

    private static func isDangerous(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F: true  // C0, DEL, C1
        case 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true  // direction
        case 0x2028, 0x2029, 0x200B, 0xFEFF: true  // line ends, invisible
        default: false
        }
    }
}
