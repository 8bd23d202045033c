// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The encodings in which a parameter of MAIL or RCPT carries any text.
package enum Xtext {
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// RFC 3461 §4: printable ASCII but `+` and `=` stands for itself, any other octet is `+` and two capital digits.
    package static func encode(_ text: String) -> String {
        var output: [UInt8] = []
        output.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if stands(byte) {
                output.append(byte)
            } else {
                output += [UInt8(ascii: "+"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// RFC 6533 §3, utf-8-addr-xtext: an address beyond ASCII in ASCII, each other character as `\x{20AC}`.
    package static func encodeInternational(_ address: String) -> String {
        var output = ""
        for scalar in address.unicodeScalars {
            if scalar.isASCII, stands(UInt8(scalar.value)), scalar != "\\" {
                output.unicodeScalars.append(scalar)
            } else {
                let hex = String(scalar.value, radix: 16, uppercase: true)
                output += "\\x{\(hex.count < 2 ? "0" : "")\(hex)}"
            }
        }
        return output
    }

    private static func stands(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "+") && byte != UInt8(ascii: "=")
    }
}
