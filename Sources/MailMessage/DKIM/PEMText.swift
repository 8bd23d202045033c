// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// As much of RFC 7468 as it takes to tell keys apart.
enum PEMText {
    private static let begin = "-----BEGIN "

    /// What stands in the first `-----BEGIN …-----`.
    static func label(_ text: String) -> Substring? {
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix(begin) {
            let rest = line.dropFirst(begin.count)
            guard rest.hasSuffix("-----") else { return nil }
            return rest.dropLast(5)
        }
        return nil
    }

    /// The 32 octets of an Ed25519 key in PKCS#8 (RFC 8410 §7), with or without its public half; nil for anything else.
    static func ed25519Seed(_ text: String) -> [UInt8]? {
        guard let der = decoded(text), der.count >= 48 else { return nil }
        // SEQUENCE, its length, INTEGER version; then the algorithm 1.3.101.112 and an OCTET STRING in another one.
        let start: [UInt8] = [0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20]
        guard der[0] == 0x30, Int(der[1]) == der.count - 2, der[5..<16].elementsEqual(start) else { return nil }
        return Array(der[16..<48])
    }

    /// The lines between BEGIN and END.
    private static func decoded(_ text: String) -> [UInt8]? {
        let lines = text.split(whereSeparator: \.isNewline).drop { !$0.hasPrefix(begin) }.dropFirst()
        return Base64.decode(lines.prefix { !$0.hasPrefix("-----END ") }.joined())
    }
}
