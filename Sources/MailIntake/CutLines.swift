// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// What a cutter has cut off at once, and what of it is still to be judged.
struct CutLines {
    let bytes: ByteBuffer
    private(set) var pieces: ArraySlice<LineCutter.Piece>
    /// Where `bytes` begins in all that the connection brought.
    let base: Int

    init(_ bytes: ByteBuffer, _ pieces: [LineCutter.Piece], from base: Int) {
        self.bytes = bytes
        self.pieces = pieces[...]
        self.base = base
    }

    func line(_ range: Range<Int>) -> ByteBuffer { slice(range) }

    /// The bytes of the lines before this one.
    func before(_ range: Range<Int>) -> ByteBuffer { slice(0..<range.lowerBound) }

    /// - Parameter index: of a piece.
    func behind(_ index: Int) -> CutLines? {
        var rest = self
        rest.pieces = pieces[(index + 1)...]
        return rest.pieces.isEmpty ? nil : rest
    }

    private func slice(_ range: Range<Int>) -> ByteBuffer {
        bytes.getSlice(at: bytes.readerIndex + range.lowerBound, length: range.count) ?? ByteBuffer()
    }
}
