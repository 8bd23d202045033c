// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Fills a String's storage with lines of a server's words: one space between them, nothing a terminal would obey.
struct ReplyText {
    let output: UnsafeMutableBufferPointer<UInt8>
    private var count = 0
    private var isCut = false

    init(output: UnsafeMutableBufferPointer<UInt8>) { self.output = output }

    mutating func add(_ line: Slice<UnsafeRawBufferPointer>) {
        if count > 0 && !line.isEmpty { append(0x20) }
        var afterC2 = false
        for byte in line {
            // U+0080–U+009F are control characters as well, C2 80–C2 9F in UTF-8.
            if afterC2 && byte >= 0x80 && byte < 0xA0 {
                output[count - 1] = 0x20
                append(0x20)
            } else {
                append(byte < 0x20 || byte == 0x7F ? 0x20 : byte)
            }
            if isCut { return }
            afterC2 = byte == 0xC2
        }
    }

    /// Octets used. Where the text was cut, no half character stays at the end.
    mutating func finish() -> Int {
        guard isCut else { return count }
        while count > 0, output[count - 1] & 0xC0 == 0x80 { count -= 1 }
        if count > 0, output[count - 1] >= 0xC0 { count -= 1 }
        return count
    }

    private mutating func append(_ byte: UInt8) {
        guard count < output.count else {
            isCut = true
            return
        }
        output[count] = byte
        count += 1
    }
}
