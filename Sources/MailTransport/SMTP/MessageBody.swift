// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A message on its way onto the wire, a block at a time: behind DATA, or by BDAT (RFC 3030).
///
/// BDAT counts octets, so that nothing is stuffed and nothing can be taken for an end. What is sent so must have proper
/// line ends already: a message that has not goes behind DATA, where they are mended.
struct MessageBody {
    enum Form { case data, chunks }

    let form: Form
    private(set) var isComplete = false
    /// BDAT commands written.
    private(set) var chunkCount = 0
    private let message: ByteBuffer
    private let chunkBytesMax: Int
    /// Octets of the message written.
    private var offset = 0
    /// Where the chunk ends that is being written.
    private var chunkEnd = 0

    init(_ message: ByteBuffer, _ terms: SessionTerms) {
        self.message = message
        chunkBytesMax = terms.chunkBytesMax
        form = terms.capabilities.chunking && Self.hasProperLines(message) ? .chunks : .data
    }

    /// Octets were announced that are not written yet.
    var isWithinChunk: Bool { offset < chunkEnd }

    /// Appends the next block, `bytesMax` octets of the message at most.
    mutating func write(bytesMax: Int, to output: inout ByteBuffer) {
        switch form {
        case .data: writeStuffed(bytesMax, &output)
        case .chunks: writeChunk(bytesMax, &output)
        }
    }

    private mutating func writeStuffed(_ bytesMax: Int, _ output: inout ByteBuffer) {
        let end = min(message.readableBytes, offset + bytesMax)
        DotStuffing.append(offset..<end, of: message, to: &output)
        offset = end
        guard end == message.readableBytes else { return }
        DotStuffing.finish(message, to: &output)
        isComplete = true
    }

    private mutating func writeChunk(_ bytesMax: Int, _ output: inout ByteBuffer) {
        let total = message.readableBytes
        if !isWithinChunk {
            chunkEnd = min(total, offset + chunkBytesMax)
            chunkCount += 1
            // RFC 3030 §2: the octets follow this line's CRLF, so many and no more.
            output.writeString("BDAT \(chunkEnd - offset)\(chunkEnd == total ? " LAST" : "")\r\n")
        }
        let end = min(chunkEnd, offset + bytesMax)
        if let block = message.getSlice(at: message.readerIndex + offset, length: end - offset) {
            output.writeImmutableBuffer(block)
        }
        offset = end
        isComplete = end == total
    }

    /// Every CR is followed by an LF, every LF stands behind a CR, and the last line is ended.
    private static func hasProperLines(_ message: ByteBuffer) -> Bool {
        message.withUnsafeReadableBytes { raw in
            guard let base = raw.baseAddress, raw.count >= 2, raw[raw.count - 1] == 0x0A else { return false }
            var index = 0
            while index < raw.count, let found = memchr(base + index, 0x0D, raw.count - index) {
                let place = UnsafeRawPointer(found) - base
                guard place + 1 < raw.count, raw[place + 1] == 0x0A else { return false }
                if memchr(base + index, 0x0A, place - index) != nil { return false }
                index = place + 2
            }
            return index == raw.count
        }
    }
}
