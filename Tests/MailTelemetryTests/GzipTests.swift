// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import CZlib
import MailTelemetry
import Testing

@Suite("Texts in gzip") struct GzipTests {
    @Test(
        "RFC 9110 §12.5.3: who names gzip takes it, unless at a weight of zero",
        arguments: [
            ("gzip", true), ("deflate, gzip", true), ("GZIP", true), ("x-gzip", true), ("*", true),
            ("gzip;q=1.0, identity; q=0.5", true), ("br, gzip ; q=0.001", true), ("gzip;q=0", false),
            ("gzip; q=0.0", false), ("*;q=0", false), ("*;q=0, gzip", true), ("*, gzip;q=0", false),
            ("", false), ("identity", false), ("deflate, br", false),
        ])
    func accepted(header: String, takes: Bool) {
        #expect(Gzip.isAccepted(by: header) == takes)
    }

    @Test("what was packed is whole again", arguments: [0, 1, 1400, 100_000])
    func whole(length: Int) throws {
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 / 7 &* 31) }
        var packed = try #require(Gzip.compress(bytes))
        // RFC 1952 §2.3.1: the two bytes by which gzip is known.
        #expect(packed.starts(with: [0x1F, 0x8B]))
        #expect(try Self.unpack(&packed, length) == bytes)
    }

    private static func unpack(_ packed: inout [UInt8], _ length: Int) throws -> [UInt8] {
        var stream = z_stream()
        try #require(inflateInit2_(&stream, 15 + 16, zlibVersion(), CInt(MemoryLayout<z_stream>.size)) == Z_OK)
        defer { inflateEnd(&stream) }
        var output = [UInt8](repeating: 0, count: length + 1)
        let capacity = output.count
        let result = packed.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = uInt(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = uInt(capacity)
                return inflate(&stream, Z_FINISH)
            }
        }
        try #require(result == Z_STREAM_END)
        return Array(output.prefix(capacity - Int(stream.avail_out)))
    }
}
