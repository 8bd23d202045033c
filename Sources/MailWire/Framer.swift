// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Cuts a stream of bytes into messages that a delimiter ends: NUL for Varlink, LF for jobs and their answers.
package struct Framer: Sendable {
    /// The message under way is longer than the framer may keep.
    package struct TooLong: Error, Equatable, Sendable {}

    private let delimiter: UInt8
    /// Of one message without its delimiter.
    package var bytesMax: Int
    private var buffer: [UInt8] = []
    /// Where the first message that was not handed out begins in `buffer`.
    private var begin = 0
    /// Up to here `buffer` was searched for a delimiter.
    private var searched = 0

    /// `bytesMax` bounds one message without its delimiter.
    package init(delimiter: UInt8, bytesMax: Int) {
        self.delimiter = delimiter
        self.bytesMax = bytesMax
    }

    package static func varlink(bytesMax: Int = 1 << 20) -> Framer { Framer(delimiter: 0, bytesMax: bytesMax) }

    package static func lines(bytesMax: Int) -> Framer {
        Framer(delimiter: UInt8(ascii: "\n"), bytesMax: bytesMax)
    }

    package mutating func append(_ bytes: some Sequence<UInt8>) {
        if begin > 0 {
            buffer.removeSubrange(..<begin)
            searched -= begin
            begin = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole message without its delimiter; nil if it takes more bytes.
    package mutating func next() throws(TooLong) -> [UInt8]? {
        guard let end = buffer[searched...].firstIndex(of: delimiter) else {
            searched = buffer.count
            if searched - begin > bytesMax { throw TooLong() }
            return nil
        }
        guard end - begin <= bytesMax else { throw TooLong() }
        defer { (begin, searched) = (end + 1, end + 1) }
        return Array(buffer[begin..<end])
    }

    /// Whether the message under way begins so.
    package func begins(with bytes: some Collection<UInt8>) -> Bool { buffer[begin...].starts(with: bytes) }

    /// What is left behind the last delimiter: at the end of the stream, a message that was cut off.
    package var rest: [UInt8] { Array(buffer[begin...]) }
}
