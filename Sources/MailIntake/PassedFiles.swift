// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Descriptors of one connection that came with bytes of lines which are not judged yet.
///
/// The kernel ends a read behind the piece that had descriptors, and gives them with the first piece of what was sent
/// at once. So they are those of the line in which the read ends. What no line takes is closed.
struct PassedFiles {
    /// What came with one line, in the order of its coming.
    struct Batch {
        var files: [PassedDescriptor] = []
        /// Some are missing: there were more than may be open.
        var isCut = false

        var isEmpty: Bool { files.isEmpty && !isCut }
    }

    /// In the order of their coming.
    private var batches: [(place: Int, batch: Batch)] = []

    var isEmpty: Bool { batches.isEmpty }

    /// - Parameter place: of the last byte of the read, counted from the connection's first.
    mutating func append(_ batch: Batch, at place: Int) { batches.append((place, batch)) }

    /// What came with the line whose bytes, its newline included, lie there.
    mutating func take(_ line: ClosedRange<Int>) -> Batch {
        var found = Batch()
        forget(before: line.lowerBound)
        while let first = batches.first, first.place <= line.upperBound {
            found.files += first.batch.files
            found.isCut = found.isCut || first.batch.isCut
            batches.removeFirst()
        }
        return found
    }

    /// Lines that are over have taken theirs.
    mutating func forget(before place: Int) {
        if !batches.isEmpty { batches.removeAll { $0.place < place } }
    }
}
