// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Why what a server said is no reply. The session cannot go on after any of these.
package enum ReplyError: Error, Equatable, CustomStringConvertible {
    case lineTooLong
    case tooManyLines
    /// The line's beginning.
    case malformed(String)

    package var description: String {
        switch self {
        case .lineTooLong: "the server sent a reply line of more than \(Limits.replyLineBytesMax) octets"
        case .tooManyLines: "the server sent a reply of more than \(Limits.replyLinesMax) lines"
        case .malformed(let line): "the server sent what is not an SMTP reply: \"\(line)\""
        }
    }
}

/// Makes replies of octets, however they are cut. Takes LF for CRLF, since nothing hangs on it on the way to us.
package struct ReplyParser: Sendable {
    private var buffer = ByteBuffer()
    /// Octets of `buffer` already searched for a line end.
    private var searched = 0
    /// Where the line begins that is being read.
    private var lineStart = 0
    private var lineCount = 0
    /// The code of the reply's first line.
    private var code = 0

    package init() {}

    /// Nothing was fed that is not handed out.
    package var isEmpty: Bool { buffer.readableBytes == 0 }

    /// Lets go of what was read and is handed out: the memory is then used again by the next read.
    package mutating func rest() { if isEmpty { buffer = ByteBuffer() } }

    package mutating func feed(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// The next whole reply, nil where more octets are needed.
    package mutating func next() throws(ReplyError) -> ServerReply? {
        while let end = findLineEnd() {
            let isLast = try takeLine(until: end)
            searched = end + 1
            lineStart = end + 1
            if isLast { return finish(length: end + 1) }
        }
        guard buffer.readableBytes - lineStart <= Limits.replyLineBytesMax else { throw .lineTooLong }
        return nil
    }

    private mutating func findLineEnd() -> Int? {
        let from = searched
        let found: Int? = buffer.withUnsafeReadableBytes { raw in
            guard let base = raw.baseAddress, from < raw.count else { return nil }
            return memchr(base + from, 0x0A, raw.count - from).map { UnsafeRawPointer($0) - base }
        }
        searched = buffer.readableBytes
        return found
    }

    /// RFC 5321 §4.2.1: a hyphen after the code announces another line, and all lines carry the same code.
    private mutating func takeLine(until end: Int) throws(ReplyError) -> Bool {
        guard end - lineStart <= Limits.replyLineBytesMax else { throw .lineTooLong }
        let start = buffer.readerIndex + lineStart
        let separator: UInt8 = end - lineStart > 3 ? buffer.getInteger(at: start + 3) ?? 0 : 0x0A
        guard let code = Self.code(of: buffer, at: start, length: end - lineStart),
            lineCount == 0 || code == self.code,
            separator == 0x20 || separator == 0x2D || separator == 0x0A || separator == 0x0D
        else { throw .malformed(excerpt(until: end)) }
        self.code = code
        lineCount += 1
        guard lineCount <= Limits.replyLinesMax else { throw .tooManyLines }
        return separator != 0x2D
    }

    /// RFC 5321 §4.2: three digits, the first 2–5; a reply of the code alone is to be understood too.
    private static func code(of buffer: ByteBuffer, at start: Int, length: Int) -> Int? {
        guard length >= 3,
            let (first, second, third) = buffer.getMultipleIntegers(at: start, as: (UInt8, UInt8, UInt8).self),
            first >= 0x32, first <= 0x35, second >= 0x30, second <= 0x39, third >= 0x30, third <= 0x39
        else { return nil }
        return Int(first) * 100 + Int(second) * 10 + Int(third) - 0x30 * 111
    }

    private mutating func finish(length: Int) -> ServerReply? {
        defer {
            searched = 0
            lineStart = 0
            lineCount = 0
        }
        return buffer.readSlice(length: length).map { ServerReply(code: code, lines: $0) }
    }

    private func excerpt(until end: Int) -> String {
        let length = min(end - lineStart, 60)
        let line = buffer.getBytes(at: buffer.readerIndex + lineStart, length: length) ?? []
        let words = line.last == 0x0D ? line.dropLast() : line[...]
        return String(decoding: words.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }, as: UTF8.self)
    }
}
