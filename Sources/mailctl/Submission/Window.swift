// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The lines that were cut off and are not answered yet, oldest first.
struct Window {
    /// As many as maild reads of one connection before it wants to be read itself.
    static let linesMax = 1024

    var lines: [LineCutter.Line] = []
    private var head = 0

    var count: Int { lines.count - head }
    var isEmpty: Bool { count == 0 }
    var isFull: Bool { count >= Self.linesMax }
    var oldest: LineCutter.Line? { isEmpty ? nil : lines[head] }
    var waiting: ArraySlice<LineCutter.Line> { lines[head...] }

    mutating func dropOldest() {
        guard !isEmpty else { return }
        head += 1
        if head >= Self.linesMax {
            lines.removeFirst(head)
            head = 0
        }
    }
}
