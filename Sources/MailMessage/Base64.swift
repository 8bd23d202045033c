// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// RFC 4648 §4, in the lines that RFC 2045 §6.8 asks for.
enum Base64 {
    /// RFC 2045 §6.8: an encoded line has at most 76 characters, which hold 57 octets.
    static let lineOctets = 57
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// Characters of `count` octets with the CRLF between its lines.
    static func length(of count: Int) -> Int { (count + 2) / 3 * 4 + count / lineOctets * 2 }

    /// Writes four characters for each three octets into `line` and gives their number.
    static func encode(_ octets: UnsafeBufferPointer<UInt8>, into line: UnsafeMutableBufferPointer<UInt8>) -> Int {
        let table = alphabet.utf8Start
        var written = 0
        var index = 0
        while index < octets.count {
            let second = index + 1 < octets.count ? Int(octets[index + 1]) : 0
            let third = index + 2 < octets.count ? Int(octets[index + 2]) : 0
            let bits = Int(octets[index]) << 16 | second << 8 | third
            line[written] = table[bits >> 18]
            line[written + 1] = table[bits >> 12 & 63]
            line[written + 2] = index + 1 < octets.count ? table[bits >> 6 & 63] : 0x3D
            line[written + 3] = index + 2 < octets.count ? table[bits & 63] : 0x3D
            written += 4
            index += 3
        }
        return written
    }

    /// On one line.
    static func text(_ octets: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: (octets.count + 2) / 3 * 4) { line in
            octets.withUnsafeBufferPointer { encode($0, into: line) }
        }
    }

    /// nil for what is no base64; padding and blanks at the end may be missing or there.
    static func decode(_ text: String) -> [UInt8]? {
        var octets: [UInt8] = []
        var (bits, count): (UInt32, Int) = (0, 0)
        for byte in text.utf8 where byte != 0x3D && byte != 0x20 {
            guard let value = (0..<64).first(where: { alphabet.utf8Start[$0] == byte }) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                octets.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return octets
    }
}

extension MessageWriter {
    /// Lines joined by CRLF, the last without: what follows brings its own.
    mutating func appendBase64(_ data: some Collection<UInt8>) {
        let done: Void? = data.withContiguousStorageIfAvailable { appendBase64($0) }
        if done == nil { Array(data).withUnsafeBufferPointer { appendBase64($0) } }
    }

    private mutating func appendBase64(_ data: UnsafeBufferPointer<UInt8>) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 76) { line in
            var start = 0
            while start < data.count {
                if start > 0 { endLine() }
                let end = min(start + Base64.lineOctets, data.count)
                let count = Base64.encode(UnsafeBufferPointer(rebasing: data[start..<end]), into: line)
                append(UnsafeBufferPointer(rebasing: line[..<count]))
                start = end
            }
        }
    }
}
