// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Where one member of an object stands in a text; or an element of an array, whose key is empty.
package struct JSONMember: Equatable, Sendable {
    package enum Kind: UInt8, Sendable {
        case string, number, object, array, `true`, `false`, null
    }

    /// Without its quotes.
    package var key: Range<Int>
    /// With its quotes, if a string.
    package var value: Range<Int>
    package var kind: Kind
    package var keyEscaped: Bool
    /// The value is a string with a backslash in it.
    package var escaped: Bool
    /// The value has no byte above 127. Known of strings only; true of all else.
    package var ascii: Bool

    @inline(__always)
    init(key: Range<Int>, keyEscaped: Bool, start: Int, value: JSONScanner.Value) {
        self.key = key
        self.value = start..<value.end
        self.kind = value.kind
        self.keyEscaped = keyEscaped
        self.escaped = value.escaped
        self.ascii = value.ascii
    }

    package var keyText: JSONText { JSONText(range: key, escaped: keyEscaped, ascii: false) }

    /// The value as a string's place; nil if it is none.
    package var text: JSONText? {
        guard kind == .string else { return nil }
        return JSONText(range: value.lowerBound + 1..<value.upperBound - 1, escaped: escaped, ascii: ascii)
    }

    @inline(__always)
    package func hasKey(_ name: StaticString, in bytes: UnsafeRawBufferPointer) -> Bool {
        keyText.equals(name, in: bytes)
    }

    package func keyString(in bytes: UnsafeRawBufferPointer) -> String { keyText.string(from: bytes) }

    package func string(in bytes: UnsafeRawBufferPointer) -> String? { text?.string(from: bytes) }

    /// A string's decoded text in UTF-8.
    package func bytes(in bytes: UnsafeRawBufferPointer) -> [UInt8]? { text?.decoded(from: bytes) }

    /// An integer without point or exponent that fits.
    package func integer(in bytes: UnsafeRawBufferPointer) -> Int64? {
        guard kind == .number else { return nil }
        return Int64(String(decoding: bytes[value], as: UTF8.self))
    }

    /// A finite number; what is too small becomes zero.
    package func double(in bytes: UnsafeRawBufferPointer) -> Double? {
        guard kind == .number else { return nil }
        guard let number = Double(String(decoding: bytes[value], as: UTF8.self)), number.isFinite else { return nil }
        return number
    }

    /// The elements of an array or members of an object; none of anything else.
    package func elements(in bytes: UnsafeRawBufferPointer) -> JSONElements { JSONElements(self, in: bytes) }
}

extension JSONScanner {
    /// Members of the object on a line; more are a mistake, and the price of comparing all keys stays small.
    package static let lineMembersMax = 64

    /// Judges a whole line, which must be one object, and fills `table` with its members in the order of the line.
    /// After an error `table` holds those that were read before it.
    package mutating func members(
        of line: UnsafeRawBufferPointer, into table: inout [JSONMember]
    ) throws(JSONError) {
        table.removeAll(keepingCapacity: true)
        start(line)
        defer { start(UnsafeRawBufferPointer(start: nil, count: 0)) }
        skipSpace()
        guard byte == UInt8(ascii: "{") else { throw fault("expected an object") }
        try descend()
        if byte != UInt8(ascii: "}") {
            repeat { try member(into: &table) } while try comma()
        }
        ascend()
        try finish()
    }

    @inline(__always)
    private mutating func member(into table: inout [JSONMember]) throws(JSONError) {
        guard table.count < Self.lineMembersMax else { throw fault("the object has over 64 members") }
        let key = try key()
        for earlier in table where key.isSame(as: earlier.keyText, in: bytes) {
            throw fault("a key is given twice", at: key.range.lowerBound)
        }
        let begin = offset
        let value = try value()
        table.append(JSONMember(key: key.range, keyEscaped: key.escaped, start: begin, value: value))
    }
}
