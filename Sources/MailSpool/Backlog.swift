// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore

/// Chunks that wait for a commit.
///
/// They go in the order in which they came, until more wait than one commit takes: then users take turns, so that
/// nobody's hundred thousand lines hold up the answer to somebody else's one. Those of one user keep their order. A
/// chunk is let go of, with all its bytes, when it is cut.
package struct Backlog {
    private struct Line {
        let uid: UInt32
        var chunks = CircularBuffer<Chunk>()
    }

    private var fresh = CircularBuffer<Chunk>()
    private var rows = 0
    private var bytes = 0
    /// Users who have more than one commit waiting, or wait beside such a one; few at a time.
    private var lines: [Line] = []
    /// Whose turn it is.
    private var turn = 0

    /// Rows that one user has in a turn.
    private static let turnRows = 256

    package init() {}

    package var isEmpty: Bool { fresh.isEmpty && lines.isEmpty }

    package mutating func add(_ chunks: [Chunk]) {
        for chunk in chunks {
            rows += chunk.submissions.count
            bytes += chunk.bytes.readableBytes
            fresh.append(chunk)
        }
    }

    /// As many chunks as make one commit of a sensible size; at least one, where there is one.
    package mutating func cut() -> [Chunk] {
        if lines.isEmpty, rows <= Limits.commitRowsMax, bytes <= Limits.commitBytesMax {
            defer {
                fresh.removeAll(keepingCapacity: true)
                (rows, bytes) = (0, 0)
            }
            return Array(fresh)
        }
        formLines()
        var cut: [Chunk] = []
        var (rowsCut, bytesCut) = (0, 0)
        while !lines.isEmpty, rowsCut < Limits.commitRowsMax, bytesCut < Limits.commitBytesMax {
            if turn >= lines.count { turn = 0 }
            let end = min(rowsCut + Self.turnRows, Limits.commitRowsMax)
            while rowsCut < end, bytesCut < Limits.commitBytesMax, let chunk = lines[turn].chunks.popFirst() {
                rowsCut += max(1, chunk.submissions.count)
                bytesCut += chunk.bytes.readableBytes
                rows -= chunk.submissions.count
                bytes -= chunk.bytes.readableBytes
                cut.append(chunk)
            }
            if lines[turn].chunks.isEmpty { lines.remove(at: turn) } else { turn += 1 }
        }
        return cut
    }

    private mutating func formLines() {
        var last: Int?
        while let chunk = fresh.popFirst() {
            if let found = last, lines[found].uid != chunk.uid { last = nil }
            last = last ?? lines.firstIndex { $0.uid == chunk.uid }
            if last == nil {
                lines.append(Line(uid: chunk.uid))
                last = lines.count - 1
            }
            if let last { lines[last].chunks.append(chunk) }
        }
    }
}
