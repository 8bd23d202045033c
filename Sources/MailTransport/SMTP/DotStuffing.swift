// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Turns a message into what follows DATA. Whole runs are copied; only where an octet must be added is a run broken.
///
/// The composer ends lines by CRLF. A CR or LF that stands alone all the same becomes CRLF here, because a server that
/// reads one as a line end could see an end of data that we did not mean (RFC 5321 §2.3.8, SMTP smuggling).
package enum DotStuffing {
    private static let carriageReturn: UInt8 = 0x0D
    private static let lineFeed: UInt8 = 0x0A
    private static let dot: UInt8 = 0x2E

    /// Appends octets `range` of the message. A message may be cut anywhere and given in pieces.
    package static func append(_ range: Range<Int>, of message: ByteBuffer, to output: inout ByteBuffer) {
        message.withUnsafeReadableBytes { raw in
            /// First octet not yet copied, and the first not yet looked at.
            var run = range.lowerBound
            var index = range.lowerBound
            var lineFeedAt = find(lineFeed, in: raw, from: index, to: range.upperBound)
            while index < range.upperBound {
                // RFC 5321 §4.5.2: a dot at a line's beginning is doubled.
                if raw[index] == dot, index == 0 || isLineEnd(raw[index - 1]) {
                    output.writeBytes(raw[run..<index])
                    output.writeInteger(dot)
                    run = index
                }
                let lineEnd = lineFeedAt ?? range.upperBound
                if let lone = find(carriageReturn, in: raw, from: index, to: lineEnd),
                    lone + 1 >= raw.count || raw[lone + 1] != lineFeed
                {
                    output.writeBytes(raw[run...lone])
                    output.writeInteger(lineFeed)
                    run = lone + 1
                    index = lone + 1
                    continue
                }
                guard lineEnd < range.upperBound else { break }
                if lineEnd == 0 || raw[lineEnd - 1] != carriageReturn {
                    output.writeBytes(raw[run..<lineEnd])
                    output.writeInteger(carriageReturn)
                    run = lineEnd
                }
                index = lineEnd + 1
                lineFeedAt = find(lineFeed, in: raw, from: index, to: range.upperBound)
            }
            output.writeBytes(raw[run..<range.upperBound])
        }
    }

    /// Ends the message's last line where it has no end, and the data.
    package static func finish(_ message: ByteBuffer, to output: inout ByteBuffer) {
        if let last = message.readableBytesView.last, !isLineEnd(last) {
            output.writeStaticString("\r\n")
        }
        // RFC 5321 §4.1.1.4: the end of data is CRLF.CRLF; the first CRLF is the last line's.
        output.writeStaticString(".\r\n")
    }

    private static func isLineEnd(_ byte: UInt8) -> Bool { byte == lineFeed || byte == carriageReturn }

    private static func find(_ byte: UInt8, in raw: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Int? {
        guard let base = raw.baseAddress, start < end else { return nil }
        return memchr(base + start, Int32(byte), end - start).map { UnsafeRawPointer($0) - base }
    }
}
