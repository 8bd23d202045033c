// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The header of a message as its fields, for signing.
package struct SignedHeader: Sendable {
    struct Field: Sendable {
        /// Without blanks before the colon, in the case it was written in.
        let name: Range<Int>
        /// After the colon, up to the CRLF of the last line.
        let value: Range<Int>
    }

    let bytes: [UInt8]
    private(set) var fields: [Field] = []
    /// After the empty line; the end of the message where it has none.
    private(set) var bodyStart = 0

    /// - Parameter bytes: a message whose lines all end in CRLF.
    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        bytes.withUnsafeBytes { read($0) }
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer) {
        var start = 0
        while start < bytes.count, bytes[start] != 0x0D {
            var end = bytes.firstOffset(of: 0x0A, from: start) ?? bytes.count
            // RFC 5322 §2.2.3: a line that begins with a blank belongs to the field before it.
            while end + 1 < bytes.count, HeaderText.isBlank(bytes[end + 1]) {
                end = bytes.firstOffset(of: 0x0A, from: end + 1) ?? bytes.count
            }
            let next = min(end + 1, bytes.count)
            if let colon = bytes[start..<next].firstIndex(of: 0x3A) {
                var nameEnd = colon
                while nameEnd > start, HeaderText.isBlank(bytes[nameEnd - 1]) { nameEnd -= 1 }
                fields.append(Field(name: start..<nameEnd, value: (colon + 1)..<max(colon + 1, next - 2)))
            }
            start = next
        }
        bodyStart = min(start + 2, bytes.count)
    }

    /// From the last to the first, as RFC 6376 §5.4.2 counts them. `name` is in small letters.
    func fields(named name: StaticString) -> some Sequence<Field> {
        fields.reversed().lazy.filter { isNamed($0, name) }
    }

    private func isNamed(_ field: Field, _ name: StaticString) -> Bool {
        guard field.name.count == name.utf8CodeUnitCount else { return false }
        for (index, place) in field.name.enumerated() where Self.small(bytes[place]) != name.utf8Start[index] {
            return false
        }
        return true
    }

    static func small(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    /// The value on one line.
    func unfolded(_ field: Field) -> [UInt8] { bytes[field.value].filter { $0 != 0x0D && $0 != 0x0A } }

    /// RFC 6376 §3.4.2: the name in small letters, one line, one blank for several, none around the colon or at the
    /// end.
    package static func appendRelaxed(name: ArraySlice<UInt8>, value: ArraySlice<UInt8>, to output: inout [UInt8]) {
        for byte in name { output.append(small(byte)) }
        output.append(0x3A)
        let start = output.count
        var isAfterBlank = false
        for byte in value where byte != 0x0D && byte != 0x0A {
            if HeaderText.isBlank(byte) {
                isAfterBlank = true
                continue
            }
            if isAfterBlank, output.count > start { output.append(0x20) }
            isAfterBlank = false
            output.append(byte)
        }
    }
}
