// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// One reply as it came, all its lines; most replies are only asked for their code, so the text is made on demand.
package struct ServerReply: Sendable {
    /// 200–599.
    package let code: Int
    /// Whole lines with code, separator and line end.
    let lines: ByteBuffer

    init(code: Int, lines: ByteBuffer) {
        self.code = code
        self.lines = lines
    }

    package var isPositive: Bool { code < 300 }
    package var isIntermediate: Bool { code >= 300 && code < 400 }
    package var isNegative: Bool { code >= 400 }

    /// The reply as it is kept with a verdict, RFC 3463's status apart from the text: lines joined by a space, control
    /// characters made spaces, at most `Limits.replyTextBytesMax` octets, invalid UTF-8 repaired.
    package var reply: Reply {
        lines.withUnsafeReadableBytes { raw in
            let status = Self.statusLength(in: raw, at: 4, code: code)
            let enhanced = status > 0 ? String(decoding: raw[4..<4 + status], as: UTF8.self) : ""
            let room = min(raw.count, Limits.replyTextBytesMax)
            let text = String(unsafeUninitializedCapacity: room) { output in
                var text = ReplyText(output: output)
                Self.eachLine(of: raw) { text.add(raw[Self.skipStatus(raw[4..<4 + status], in: raw, line: $0)]) }
                return text.finish()
            }
            return Reply(code, enhanced, text)
        }
    }

    /// What follows the code, line by line.
    package var texts: [String] {
        lines.withUnsafeReadableBytes { raw in
            var texts: [String] = []
            Self.eachLine(of: raw) { texts.append(String(decoding: raw[$0], as: UTF8.self)) }
            return texts
        }
    }

    /// Calls `body` with where each line's text stands, without code, separator and line end.
    private static func eachLine(of raw: UnsafeRawBufferPointer, _ body: (Range<Int>) -> Void) {
        var start = 0
        while start < raw.count {
            let end = raw[start...].firstIndex(of: 0x0A) ?? raw.count
            let last = end > start && raw[end - 1] == 0x0D ? end - 1 : end
            body(min(start + 4, last)..<last)
            start = end + 1
        }
    }

    /// RFC 2034 §4: every line of a reply repeats the status; it is kept once.
    private static func skipStatus(
        _ status: Slice<UnsafeRawBufferPointer>, in raw: UnsafeRawBufferPointer, line: Range<Int>
    )
        -> Range<Int>
    {
        let end = line.lowerBound + status.count
        guard !status.isEmpty, end <= line.upperBound, raw[line.lowerBound..<end].elementsEqual(status) else {
            return line
        }
        return (end < line.upperBound && raw[end] == 0x20 ? end + 1 : end)..<line.upperBound
    }

    /// RFC 2034 §3: `class.subject.detail`, whose class is the code's first digit; 0 where there is none.
    private static func statusLength(in raw: UnsafeRawBufferPointer, at start: Int, code: Int) -> Int {
        guard raw.count > start + 4, Int(raw[start]) - 0x30 == code / 100 else { return 0 }
        var index = start + 1
        for _ in 0..<2 {
            guard index < raw.count, raw[index] == 0x2E else { return 0 }
            index += 1
            let digits = raw[index...].prefix(4).prefix { $0 >= 0x30 && $0 <= 0x39 }.count
            guard digits >= 1, digits <= 3 else { return 0 }
            index += digits
        }
        guard index < raw.count, raw[index] <= 0x20 else { return 0 }
        return index - start
    }
}
