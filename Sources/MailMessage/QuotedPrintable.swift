// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// RFC 2045 §6.7.
enum QuotedPrintable {
    /// RFC 2045 §6.7 (5): an encoded line has at most 76 characters, the soft break's `=` included.
    static let lineCharactersMax = 76

    /// Octets that may stand for themselves (§6.7 (2)), blanks and line ends included.
    static func isSafe(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x09, 0x0A, 0x0D, 0x20...0x3C, 0x3E...0x7E: true
        default: false
        }
    }
}

extension MessageWriter {
    /// Line ends of any kind become CRLF (§6.7 (4)); no CRLF is added at the end.
    mutating func appendQuotedPrintable(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let end = bytes.lineEnd(from: start)
                appendQuotedPrintableLine(UnsafeRawBufferPointer(rebasing: bytes[start..<(end ?? bytes.count)]))
                guard let end else { return }
                endLine()
                start = bytes.afterLineEnd(at: end)
            }
        }
    }

    private mutating func appendQuotedPrintableLine(_ line: UnsafeRawBufferPointer) {
        guard !Self.isPlain(line) else { return append(line) }
        for (index, byte) in line.enumerated() {
            let isLast = index + 1 == line.count
            var width = Self.isLiteral(byte, isLast: isLast) ? 1 : 3
            if column + width > QuotedPrintable.lineCharactersMax - (isLast ? 0 : 1) {
                append(0x3D)
                endLine()
            }
            // RFC 2049 §3: a line that begins with "." or "From " is not safe with every gateway.
            if column == 0, byte == 0x2E || Self.isFrom(line[index...]) { width = 3 }
            if width == 1 {
                append(byte)
            } else {
                append(0x3D)
                append(Hexadecimal.high(byte))
                append(Hexadecimal.low(byte))
            }
        }
    }

    /// Whether the line encodes as itself, as most lines do.
    private static func isPlain(_ line: UnsafeRawBufferPointer) -> Bool {
        guard let first = line.first, let last = line.last else { return true }
        guard line.count <= QuotedPrintable.lineCharactersMax, first != 0x2E, !isFrom(line[...]) else { return false }
        return isLiteral(last, isLast: true) && line.allSatisfy(QuotedPrintable.isSafe)
    }

    /// §6.7 (3): a blank at the end of a line is encoded, for servers may drop it.
    private static func isLiteral(_ byte: UInt8, isLast: Bool) -> Bool {
        let isBlank = byte == 0x20 || byte == 0x09
        return isBlank ? !isLast : QuotedPrintable.isSafe(byte)
    }

    private static func isFrom(_ rest: Slice<UnsafeRawBufferPointer>) -> Bool {
        rest.starts(with: [0x46, 0x72, 0x6F, 0x6D, 0x20] as [UInt8])
    }
}
