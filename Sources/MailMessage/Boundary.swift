// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What divides the parts of one message: `=_`, 16 digits made from the Message-ID, and a letter for the level. The
/// same message always has the same, so that a retry sends the same octets.
///
/// RFC 2045 §6.7: `=_` can occur neither in quoted-printable nor in base64.
struct Boundary {
    /// The multipart it divides: one of each kind at most.
    enum Level: UInt8 {
        case mixed = 0x6D
        case alternative = 0x61
        case related = 0x72
        case report = 0x70
    }

    /// Without the level.
    private let stem: [UInt8]

    init(messageID: String) {
        // FNV-1a: spreads ids over all stems; what a hash cannot promise `occurs` makes sure of.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in messageID.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        var stem: [UInt8] = [0x3D, 0x5F]
        for shift in stride(from: 56, through: 0, by: -8) {
            let byte = UInt8(truncatingIfNeeded: hash >> UInt64(shift))
            stem.append(Hexadecimal.high(byte))
            stem.append(Hexadecimal.low(byte))
        }
        self.stem = stem
    }

    /// RFC 2046 §5.1.1: the boundary must not occur in a part. Such a part is then encoded.
    func occurs(in bytes: UnsafeRawBufferPointer) -> Bool {
        var start = 0
        while let found = bytes.firstOffset(of: stem[0], from: start) {
            if bytes[found...].starts(with: stem) { return true }
            start = found + 1
        }
        return false
    }

    func append(_ level: Level, to writer: inout MessageWriter) {
        writer.append(stem)
        writer.append(level.rawValue)
    }
}

extension MessageWriter {
    /// Header of a multipart and the end of that header. `type` is RFC 2387's, of the root of multipart/related.
    mutating func openMultipart(_ subtype: StaticString, _ level: Boundary.Level, _ boundary: Boundary) {
        append("Content-Type: multipart/")
        append(subtype)
        append(0x3B)
        endLine()
        append(" boundary=\"")
        boundary.append(level, to: &self)
        // RFC 2387 §3.1: the type of the root is told.
        append(level == .related ? "\"; type=\"text/html\"" : "\"")
        endLine()
    }

    /// RFC 2046 §5.1.1: the CRLF before the dashes belongs to the boundary, not to the part.
    mutating func beginPart(_ level: Boundary.Level, _ boundary: Boundary) {
        endLine()
        append("--")
        boundary.append(level, to: &self)
        endLine()
    }

    mutating func closeMultipart(_ level: Boundary.Level, _ boundary: Boundary) {
        endLine()
        append("--")
        boundary.append(level, to: &self)
        append("--")
    }
}
