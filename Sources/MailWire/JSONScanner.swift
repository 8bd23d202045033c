// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// Why some bytes are not the JSON we take.
package struct JSONError: Error, Equatable, Sendable {
    /// Bytes before the fault.
    package var offset: Int
    package var reason: String

    package init(offset: Int, reason: String) {
        self.offset = offset
        self.reason = reason
    }
}

/// Judges JSON by RFC 8259, strictly: also refused are a key given twice in one object (§4 leaves that open), a
/// lone surrogate (§8.2), a byte order mark (§8.1), and what exceeds the bounds below (§9).
///
/// One scanner is used for many texts, so that its scratch memory is; it holds on to no text between two calls.
/// Every access to the text asks `offset < end` first: that is the end-of-text check and the bounds check in one.
package struct JSONScanner {
    /// Members of one object: a job has some twenty fields and a hundred headers at most.
    package static let membersMax = 1024
    /// A header's name is the longest key that means anything.
    package static let keyBytesMax = 1024
    /// Digits of one number; more say nothing to a 64-bit float.
    package static let numberBytesMax = 1024

    var bytes = UnsafeRawBufferPointer(start: nil, count: 0)
    var end = 0
    var offset = 0
    private var depth = 0
    private var keys = JSONKeys()

    package init() {}

    /// Judges a whole text: one value of any kind with nothing but white space around it. Its place has an empty key.
    package mutating func check(_ text: UnsafeRawBufferPointer) throws(JSONError) -> JSONMember {
        start(text)
        defer { start(UnsafeRawBufferPointer(start: nil, count: 0)) }
        skipSpace()
        let begin = offset
        let value = try value()
        try finish()
        return JSONMember(key: begin..<begin, keyEscaped: false, start: begin, value: value)
    }

    mutating func start(_ text: UnsafeRawBufferPointer) {
        bytes = text
        end = text.count
        offset = 0
        depth = 0
        keys.removeAll()
    }

    /// Nothing but white space may follow.
    mutating func finish() throws(JSONError) {
        skipSpace()
        if offset < end { throw fault("more text after the end") }
    }

    func fault(_ reason: String) -> JSONError { fault(reason, at: offset) }

    /// A fault at the end of the text is named as that: the line was cut off.
    func fault(_ reason: String, at place: Int) -> JSONError {
        JSONError(offset: min(place, end), reason: place < end ? reason : "the text ends too early")
    }

    /// The byte under the cursor; NUL, which is no JSON, at the end.
    @inline(__always)
    var byte: UInt8 { offset < end ? bytes[offset] : 0 }

    @inline(__always)
    mutating func skipSpace() {
        while offset < end {
            let byte = bytes[offset]
            if byte > 0x20 { return }
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            offset += 1
        }
    }

    // MARK: Values

    /// What a value is, and where it ends; of strings, whether they have a backslash or are beyond ASCII.
    struct Value {
        var kind: JSONMember.Kind
        var escaped = false
        var ascii = true
        var end: Int
    }

    /// One value; the cursor stands on its first byte and then behind its last.
    mutating func value() throws(JSONError) -> Value {
        switch byte {
        case UInt8(ascii: "\""):
            let text = try string()
            return Value(kind: .string, escaped: text.escaped, ascii: text.ascii, end: offset)
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            try number()
            return Value(kind: .number, end: offset)
        case UInt8(ascii: "{"):
            try object()
            return Value(kind: .object, end: offset)
        case UInt8(ascii: "["):
            try array()
            return Value(kind: .array, end: offset)
        default:
            return Value(kind: try literal(), end: offset)
        }
    }

    private mutating func literal() throws(JSONError) -> JSONMember.Kind {
        switch byte {
        case UInt8(ascii: "t"): try word("true", .true)
        case UInt8(ascii: "f"): try word("false", .false)
        case UInt8(ascii: "n"): try word("null", .null)
        case 0xEF: throw fault("a byte order mark or other text before the value")
        default: throw fault("expected a value")
        }
    }

    private mutating func word(_ word: StaticString, _ kind: JSONMember.Kind) throws(JSONError) -> JSONMember.Kind {
        for index in 0..<word.utf8CodeUnitCount {
            guard byte == word.utf8Start[index] else { throw fault("expected a value") }
            offset += 1
        }
        return kind
    }

    /// RFC 8259 §6: no plus, no leading zero, digits on both sides of the point.
    private mutating func number() throws(JSONError) {
        let begin = offset
        if byte == UInt8(ascii: "-") { offset += 1 }
        let leading = byte
        try digits()
        if leading == UInt8(ascii: "0"), offset - begin > (bytes[begin] == leading ? 1 : 2) {
            throw fault("a number begins with zero", at: begin)
        }
        if byte == UInt8(ascii: ".") {
            offset += 1
            try digits()
        }
        if byte | 0x20 == UInt8(ascii: "e") {
            offset += 1
            if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { offset += 1 }
            try digits()
        }
        if offset - begin > Self.numberBytesMax { throw fault("a number has over 1024 characters", at: begin) }
    }

    private mutating func digits() throws(JSONError) {
        let begin = offset
        while byte &- 0x30 <= 9 { offset += 1 }
        if offset == begin { throw fault("expected a digit") }
    }

    // MARK: Nesting

    mutating func descend() throws(JSONError) {
        depth += 1
        if depth > Limits.depthMax { throw fault("nested deeper than \(Limits.depthMax)") }
        offset += 1
        skipSpace()
    }

    mutating func ascend() {
        offset += 1
        depth -= 1
    }

    private mutating func array() throws(JSONError) {
        try descend()
        if byte == UInt8(ascii: "]") { return ascend() }
        while true {
            _ = try value()
            skipSpace()
            if byte == UInt8(ascii: "]") { return ascend() }
            guard byte == UInt8(ascii: ",") else { throw fault("expected a comma or ]") }
            offset += 1
            skipSpace()
        }
    }

    private mutating func object() throws(JSONError) {
        try descend()
        if byte == UInt8(ascii: "}") { return ascend() }
        let mark = keys.count
        while true {
            guard keys.count - mark < Self.membersMax else { throw fault("an object has over 1024 members") }
            keys.append(try key())
            _ = try value()
            if try !comma() { break }
        }
        if let twice = keys.close(from: mark, in: bytes) { throw fault("a key is given twice", at: twice) }
        ascend()
    }

    /// A key with its colon; the cursor then stands on the value.
    @inline(__always)
    mutating func key() throws(JSONError) -> JSONText {
        guard byte == UInt8(ascii: "\"") else { throw fault("expected a key in quotes") }
        let key = try string()
        if key.range.count > Self.keyBytesMax { throw fault("a key has over 1024 bytes", at: key.range.lowerBound) }
        skipSpace()
        guard byte == UInt8(ascii: ":") else { throw fault("expected a colon") }
        offset += 1
        skipSpace()
        return key
    }

    /// After a member: whether another follows. The cursor then stands on its key, or still on the closing brace.
    @inline(__always)
    mutating func comma() throws(JSONError) -> Bool {
        skipSpace()
        if byte == UInt8(ascii: "}") { return false }
        guard byte == UInt8(ascii: ",") else { throw fault("expected a comma or }") }
        offset += 1
        skipSpace()
        return true
    }
}
