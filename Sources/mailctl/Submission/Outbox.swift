// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Lines that were cut off and are not answered yet, oldest first, with their bytes: what a lost connection leaves open
/// is sent again from here.
package struct Outbox {
    /// As many lines as maild reads of one connection before it wants to be read itself.
    package static let linesMax = 1024
    /// Nothing more is cut off while so much waits to be sent, or for answers.
    private static let unsentBytesMax = 256 << 10
    private static let bytesMax = 4 << 20

    private var bytes: [UInt8] = []
    /// Where `bytes` begins in all that was ever cut off; the other places are counted so, too.
    private var start = 0
    private var place = 0
    /// How far it was ever sent, over whatever connection.
    package private(set) var sent = 0
    /// All before was answered.
    private var answered = 0
    private var lines: [LineCutter.Line] = []
    private var head = 0

    package init() {}

    package var waiting: ArraySlice<LineCutter.Line> { lines[head...] }
    package var oldest: LineCutter.Line? { waiting.first }
    package var isEmpty: Bool { waiting.isEmpty && unsentCount == 0 }
    package var unsentCount: Int { start + bytes.count - place }
    package var hasRoom: Bool {
        waiting.count < Self.linesMax && unsentCount < Self.unsentBytesMax
            && start + bytes.count - max(start, answered) < Self.bytesMax
    }

    /// Takes the next line, or the next piece of a long one; false where the cutter has none.
    package mutating func take(from cutter: inout LineCutter) -> Bool { cutter.cut(to: &bytes, &lines) }

    package func withUnsent<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[(place - start)...])) }
    }

    package mutating func send(_ count: Int) {
        place += count
        sent = max(sent, place)
        // Of a line too long to be held the pieces go for good.
        if oldest.map({ !$0.mayRepeat && $0.end == nil }) ?? false { forget(before: place) }
    }

    /// The oldest line has its answer.
    package mutating func drop() {
        guard let end = oldest?.end else { return }
        head += 1
        answered = max(answered, end)
        if head >= Self.linesMax {
            lines.removeFirst(head)
            head = 0
        }
        forget(before: min(answered, place))
    }

    /// What is not answered may be sent again: nothing of it can become a second job.
    package var mayRepeat: Bool { waiting.allSatisfy { $0.mayRepeat || sent <= beginning(of: $0) } }

    /// Over a new connection it begins with the oldest line that was not answered.
    package mutating func rewind() { place = answered }

    private func beginning(of line: LineCutter.Line) -> Int {
        let index = waiting.firstIndex { $0.number == line.number } ?? head
        return index == head ? answered : lines[index - 1].end ?? .max
    }

    /// Bytes are moved seldom, so that each is moved once on the average.
    private mutating func forget(before end: Int) {
        let count = end - start
        guard count == bytes.count || (count > 64 << 10 && count > bytes.count / 2) else { return }
        if count == bytes.count {
            bytes.removeAll(keepingCapacity: count < Self.bytesMax)
        } else {
            bytes.removeFirst(count)
        }
        start = end
    }
}
