// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CZlib

/// Gzip (RFC 1952) of a whole text at once, by zlib.
package enum Gzip {
    /// Below it the saving is less than a packet.
    package static let bytesMin = 1400

    /// Adds 16 to zlib's window bits: a gzip header and trailer around the data (zlib.h, deflateInit2).
    private static let windowBits: CInt = 15 + 16
    /// Text of metrics shrinks to a tenth at any level; the lowest costs a third of the usual one's time.
    private static let level: CInt = 1
    private static let memoryLevel: CInt = 8

    /// Nil where zlib has no memory for it: then the text goes as it is.
    package static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        var stream = z_stream()
        let size = CInt(MemoryLayout<z_stream>.size)
        let begun = deflateInit2_(
            &stream, level, Z_DEFLATED, windowBits, memoryLevel, Z_DEFAULT_STRATEGY, zlibVersion(), size)
        guard begun == Z_OK else { return nil }
        defer { deflateEnd(&stream) }
        let bound = Int(deflateBound(&stream, uLong(bytes.count)))
        var input = bytes
        var isWhole = false
        let packed = [UInt8](unsafeUninitializedCapacity: bound) { output, count in
            input.withUnsafeMutableBufferPointer { input in
                stream.next_in = input.baseAddress
                stream.avail_in = uInt(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = uInt(bound)
                isWhole = deflate(&stream, Z_FINISH) == Z_STREAM_END
            }
            count = bound - Int(stream.avail_out)
        }
        return isWhole ? packed : nil
    }

    /// RFC 9110 §12.5.3: whether `Accept-Encoding` takes gzip. What it does not name is not sent; `*` is what it does
    /// not name elsewhere.
    package static func isAccepted(by header: String) -> Bool {
        var others = false
        for item in header.split(separator: ",") {
            let parts = item.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
            switch parts.first {
            case "gzip", "x-gzip": return weight > 0
            case "*": others = weight > 0
            default: break
            }
        }
        return others
    }
}
