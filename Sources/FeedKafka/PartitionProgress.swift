// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// How far one partition is dealt with. Messages are handed over in the order of their offsets and are done in any
/// order; Kafka is told one number, before which nothing is left to do.
package struct PartitionProgress: Equatable, Sendable {
    private struct Open: Equatable, Sendable {
        var offset: Int64
        var isDone: Bool
    }

    /// Behind the last message that was handed over; nil before the first.
    package private(set) var position: Int64?
    /// Where a consumer that takes over may begin; nil while nothing is done.
    package private(set) var safe: Int64?
    /// What Kafka has confirmed, and what it was asked to keep.
    package private(set) var committed: Int64?
    private var asked: Int64?
    /// Ascending, the first of them not done.
    private var open: CircularBuffer<Open> = []

    package init() {}

    /// Messages that are not dealt with, or wait for one before them.
    package var count: Int { open.count }

    /// Returns false where the offset lies before one that was handed over: the log has begun anew. Gaps are usual (a
    /// compacted topic, a transaction's marks).
    package mutating func began(_ offset: Int64) -> Bool {
        if let position, offset < position { return false }
        position = offset + 1
        open.append(Open(offset: offset, isDone: false))
        return true
    }

    package mutating func done(_ offset: Int64) {
        guard let place = place(of: offset) else { return }
        open[place].isDone = true
        while let first = open.first, first.isDone {
            safe = first.offset + 1
            open.removeFirst()
        }
    }

    private func place(of offset: Int64) -> CircularBuffer<Open>.Index? {
        var low = 0
        var high = open.count
        while low < high {
            let middle = (low + high) / 2
            let isBefore = open[open.index(open.startIndex, offsetBy: middle)].offset < offset
            if isBefore { low = middle + 1 } else { high = middle }
        }
        guard low < open.count else { return nil }
        let place = open.index(open.startIndex, offsetBy: low)
        return open[place].offset == offset ? place : nil
    }

    /// What Kafka does not know yet; nil where that is nothing, or it was asked already.
    package var uncommitted: Int64? { safe == asked ? nil : safe }

    package mutating func commits(_ offset: Int64) { asked = offset }

    package mutating func commitSucceeded(_ offset: Int64) { committed = max(offset, committed ?? offset) }

    /// It will be asked again.
    package mutating func commitFailed() { asked = committed }
}
