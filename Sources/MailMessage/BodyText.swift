// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif
import MailJob

/// How a body travels (RFC 2045 §6). 8bit is never chosen: whatever the next server offers, nothing is encoded twice.
enum TransferEncoding {
    case sevenBit
    case quotedPrintable
    case base64
}

/// A text and what its octets ask for.
struct BodyText {
    let bytes: [UInt8]
    let isASCII: Bool
    /// Line ends must be looked at one by one.
    let hasCR: Bool
    let encoding: TransferEncoding

    /// `boundary` is what no 7bit body may hold (RFC 2046 §5.1.1); in quoted-printable and base64 it cannot occur.
    init(_ bytes: [UInt8], avoiding boundary: Boundary?) {
        let found = bytes.withUnsafeBytes { Self.survey($0, boundary) }
        self.bytes = bytes
        isASCII = found.isASCII
        hasCR = found.hasCR
        encoding = found.isSevenBit ? .sevenBit : Self.shortest(bytes)
    }

    private static func survey(
        _ bytes: UnsafeRawBufferPointer, _ boundary: Boundary?
    ) -> (isASCII: Bool, hasCR: Bool, isSevenBit: Bool) {
        var all: UInt8 = 0
        for byte in bytes { all |= byte }
        let isASCII = all < 0x80
        // RFC 2045 §2.7: 7bit data has no octet over 127, no NUL, and lines of at most 998 octets.
        let isSevenBit =
            isASCII && !bytes.holds(0) && !bytes.hasLongLine && !(boundary?.occurs(in: bytes) ?? false)
        return (isASCII, bytes.holds(0x0D), isSevenBit)
    }

    /// Quoted-printable keeps a Western text legible; past one octet in six base64 is shorter.
    private static func shortest(_ bytes: [UInt8]) -> TransferEncoding {
        let escaped = bytes.reduce(0) { QuotedPrintable.isSafe($1) ? $0 : $0 + 1 }
        return escaped * 6 > bytes.count ? .base64 : .quotedPrintable
    }
}

extension UnsafeRawBufferPointer {
    func holds(_ byte: UInt8) -> Bool { firstOffset(of: byte, from: 0) != nil }

    func firstOffset(of byte: UInt8, from start: Int) -> Int? {
        guard let base = baseAddress, start < count,
            let found = memchr(base + start, Int32(byte), count - start)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }

    /// RFC 5322 §2.1.1: a line over 998 octets. One that a lone CR divides counts as a whole.
    var hasLongLine: Bool {
        guard count > Limits.mailLineBytesMax else { return false }
        var start = 0
        while start < count {
            let end = firstOffset(of: 0x0A, from: start) ?? count
            let length = end > start && self[end - 1] == 0x0D ? end - 1 - start : end - start
            if length > Limits.mailLineBytesMax { return true }
            start = end + 1
        }
        return false
    }
}

extension MessageWriter {
    /// The text in its encoding; no CRLF is added at its end.
    mutating func appendText(_ text: BodyText) {
        switch text.encoding {
        case .sevenBit: appendLines(text.bytes, hasCR: text.hasCR)
        case .quotedPrintable: appendQuotedPrintable(text.bytes)
        case .base64:
            // RFC 2045 §6.8: line ends of a text become CRLF before they are encoded.
            var canonical = MessageWriter(capacity: text.bytes.count + text.bytes.count / 16)
            canonical.appendLines(text.bytes, hasCR: text.hasCR)
            appendBase64(canonical.bytes)
        }
    }

    /// LF, CRLF and lone CR all become CRLF (RFC 5322 §2.3: neither stands alone in a body).
    mutating func appendLines(_ bytes: [UInt8], hasCR: Bool) {
        bytes.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let end = hasCR ? bytes.lineEnd(from: start) : bytes.firstOffset(of: 0x0A, from: start)
                append(UnsafeRawBufferPointer(rebasing: bytes[start..<(end ?? bytes.count)]))
                guard let end else { return }
                endLine()
                start = bytes.afterLineEnd(at: end)
            }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The first CR or LF.
    func lineEnd(from start: Int) -> Int? {
        var index = start
        while index < count {
            if self[index] == 0x0A || self[index] == 0x0D { return index }
            index += 1
        }
        return nil
    }

    /// Where the line after the CR, LF or CRLF at `end` begins.
    func afterLineEnd(at end: Int) -> Int {
        self[end] == 0x0D && end + 1 < count && self[end + 1] == 0x0A ? end + 2 : end + 1
    }
}
