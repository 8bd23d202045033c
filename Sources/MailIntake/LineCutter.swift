// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import NIOCore

/// Cuts a connection's bytes into lines; keeps what is not yet a line.
///
/// A value without I/O. A line over `bytesMax` is told once and skipped up to its newline.
package struct LineCutter {
    var bytesMax: Int
    /// What has come of a line, or of several, without being taken.
    private var held = ByteBuffer()
    /// Bytes of `held` that are known to have no newline.
    private var searched = 0
    package private(set) var isSkipping = false
    /// Counts whole lines: tells a slow line from one that follows another.
    package private(set) var serial = 0

    package init(bytesMax: Int) { self.bytesMax = bytesMax }

    package enum Piece: Equatable, Sendable {
        /// Range in the bytes that `take` returned, without the newline.
        case line(Range<Int>)
        case tooLong
    }

    package var heldBytes: Int { held.readableBytes }
    package var isMidLine: Bool { held.readableBytes > 0 || isSkipping }

    package mutating func append(_ bytes: ByteBuffer) {
        var bytes = bytes
        if held.readableBytes == 0 { held = bytes } else { held.writeBuffer(&bytes) }
    }

    /// All whole lines at hand, with the bytes that their ranges count in; nil where there is none.
    package mutating func take() -> (bytes: ByteBuffer, pieces: [Piece])? {
        var pieces: [Piece] = []
        var begin = 0
        while let end = newline(from: max(begin, searched)) {
            serial += 1
            if isSkipping {
                isSkipping = false
            } else {
                pieces.append(end - begin > bytesMax ? .tooLong : .line(begin..<end))
            }
            begin = end + 1
            searched = begin
        }
        searched = held.readableBytes
        let bytes = keepRest(from: begin)
        if let tooLong = skipIfTooLong() { pieces.append(tooLong) }
        return pieces.isEmpty ? nil : (bytes, pieces)
    }

    /// The last line has no newline where the client has closed its side.
    package mutating func takeLast() -> (bytes: ByteBuffer, pieces: [Piece])? {
        guard held.readableBytes > 0, !isSkipping else { return nil }
        let bytes = held
        held = ByteBuffer()
        searched = 0
        return (bytes, [.line(0..<bytes.readableBytes)])
    }

    private func newline(from start: Int) -> Int? {
        held.withUnsafeReadableBytes { bytes in
            guard start < bytes.count, let base = bytes.baseAddress,
                let found = memchr(base + start, 0x0A, bytes.count - start)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }

    /// Returns the bytes of the whole lines; what follows them is copied, for it will grow.
    private mutating func keepRest(from begin: Int) -> ByteBuffer {
        guard begin > 0 else { return ByteBuffer() }
        let whole = held.getSlice(at: held.readerIndex, length: begin) ?? ByteBuffer()
        let rest = held.readableBytes - begin
        held = rest == 0 ? ByteBuffer() : ByteBuffer(bytes: held.readableBytesView.dropFirst(begin))
        searched = rest
        return whole
    }

    private mutating func skipIfTooLong() -> Piece? {
        guard isSkipping || held.readableBytes > bytesMax else { return nil }
        held = ByteBuffer()
        searched = 0
        defer { isSkipping = true }
        return isSkipping ? nil : .tooLong
    }
}
