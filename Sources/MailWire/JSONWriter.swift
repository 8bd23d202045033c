// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

extension ByteSink {
    /// A string with its quotes, escaped as little as RFC 8259 §7 allows.
    @inlinable
    package mutating func putJSON(_ string: String) {
        var copy = string
        copy.withUTF8 { putJSON(text: UnsafeRawBufferPointer($0)) }
    }

    @inlinable
    package mutating func putJSON(_ string: some StringProtocol) {
        var copy = String(string)
        copy.withUTF8 { putJSON(text: UnsafeRawBufferPointer($0)) }
    }

    /// The same of bytes that are UTF-8.
    @inlinable
    package mutating func putJSON(text: UnsafeRawBufferPointer) {
        put(UInt8(ascii: "\""))
        var begin = 0
        for place in 0..<text.count {
            let byte = text[place]
            if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { continue }
            if begin < place { put(UnsafeRawBufferPointer(rebasing: text[begin..<place])) }
            putEscape(byte)
            begin = place + 1
        }
        if begin < text.count { put(UnsafeRawBufferPointer(rebasing: text[begin...])) }
        put(UInt8(ascii: "\""))
    }

    @usableFromInline
    mutating func putEscape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): put(#"\""#)
        case UInt8(ascii: "\\"): put(#"\\"#)
        case 0x08: put(#"\b"#)
        case 0x09: put(#"\t"#)
        case 0x0A: put(#"\n"#)
        case 0x0C: put(#"\f"#)
        case 0x0D: put(#"\r"#)
        default:
            put(#"\u00"#)
            for digit in [byte >> 4, byte & 15] { put(digit < 10 ? 0x30 + digit : 0x61 + digit - 10) }
        }
    }

    @inlinable
    package mutating func putJSON(_ integer: some FixedWidthInteger) {
        if integer < 0 { put(UInt8(ascii: "-")) }
        // From the last digit to the first; no integer of 64 bits has more than these.
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            var rest = UInt64(integer.magnitude)
            var first = digits.count
            repeat {
                first -= 1
                digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            put(UnsafeRawBufferPointer(rebasing: digits[first...]))
        }
    }

    /// Infinity and NaN, which JSON has not, become null.
    @inlinable
    package mutating func putJSON(_ number: Double) {
        guard number.isFinite else { return put("null") }
        var text = String(describing: number)
        text.withUTF8 { put(UnsafeRawBufferPointer($0)) }
    }

    package mutating func putJSON(_ bool: Bool) { put(bool ? "true" : "false") }

    /// Without white space.
    package mutating func putJSON(_ value: JSONValue) {
        switch value {
        case .null: put("null")
        case .bool(let bool): putJSON(bool)
        case .integer(let integer): putJSON(integer)
        case .number(let number): putJSON(number)
        case .string(let string): putJSON(string)
        case .array(let array): putJSON(array)
        case .object(let object): putJSON(object)
        }
    }

    private mutating func putJSON(_ array: [JSONValue]) {
        var separator: StaticString = "["
        for value in array {
            put(separator)
            putJSON(value)
            separator = ","
        }
        put(array.isEmpty ? "[]" : "]")
    }

    package mutating func putJSON(_ object: JSONObject) {
        var separator: StaticString = "{"
        for (key, value) in object {
            put(separator)
            putJSON(key)
            put(":")
            putJSON(value)
            separator = ","
        }
        put(object.isEmpty ? "{}" : "}")
    }
}

extension JSONValue {
    /// Without white space.
    package func write(into sink: inout [UInt8]) { sink.putJSON(self) }

    /// Without white space.
    package var text: String {
        var sink: [UInt8] = []
        write(into: &sink)
        return String(decoding: sink, as: UTF8.self)
    }

    /// For people: a member a line, indented by two spaces a level; no newline at the end.
    package var prettyText: String {
        var sink: [UInt8] = []
        writePretty(into: &sink)
        return String(decoding: sink, as: UTF8.self)
    }

    package func writePretty(into sink: inout [UInt8], level: Int = 0) {
        switch self {
        case .array(let array) where !array.isEmpty:
            sink.put("[")
            for (index, value) in array.enumerated() {
                Self.breakLine(in: &sink, level: level + 1, isFirst: index == 0)
                value.writePretty(into: &sink, level: level + 1)
            }
            Self.breakLine(in: &sink, level: level, isFirst: true)
            sink.put("]")
        case .object(let object) where !object.isEmpty:
            sink.put("{")
            for (index, member) in object.enumerated() {
                Self.breakLine(in: &sink, level: level + 1, isFirst: index == 0)
                sink.putJSON(member.key)
                sink.put(": ")
                member.value.writePretty(into: &sink, level: level + 1)
            }
            Self.breakLine(in: &sink, level: level, isFirst: true)
            sink.put("}")
        default:
            write(into: &sink)
        }
    }

    private static func breakLine(in sink: inout [UInt8], level: Int, isFirst: Bool) {
        if !isFirst { sink.put(",") }
        sink.put("\n")
        sink.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * level))
    }
}
