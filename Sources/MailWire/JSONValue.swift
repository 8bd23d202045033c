// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// JSON as a tree, for what is not on the hot path: control messages, and what mailctl sends and shows.
package enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    /// A number without point or exponent that fits.
    case integer(Int64)
    /// Any other; finite, or it is written as null.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// Reads one value with nothing but white space around it, as strictly as `JSONScanner` does. A number beyond
    /// the range of a 64-bit float is an error too.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(JSONError) {
        var scanner = JSONScanner()
        try self.init(scanner.check(bytes), in: bytes)
    }

    package init(parsing bytes: some Collection<UInt8>) throws(JSONError) {
        let copy = Array(bytes)
        self = try copy.withUnsafeBufferPointer { (bytes) throws(JSONError) in
            try JSONValue(parsing: UnsafeRawBufferPointer(bytes))
        }
    }

    package init(parsing text: some StringProtocol) throws(JSONError) { try self.init(parsing: text.utf8) }

    /// The value of a member that a scanner has let pass.
    package init(_ member: JSONMember, in bytes: UnsafeRawBufferPointer) throws(JSONError) {
        switch member.kind {
        case .null: self = .null
        case .true: self = .bool(true)
        case .false: self = .bool(false)
        case .string: self = .string(member.string(in: bytes) ?? "")
        case .number: self = try Self.number(member, in: bytes)
        case .array: self = .array(try Self.array(member, in: bytes))
        case .object: self = .object(try Self.object(member, in: bytes))
        }
    }

    private static func number(
        _ member: JSONMember, in bytes: UnsafeRawBufferPointer
    ) throws(JSONError) -> JSONValue {
        if let integer = member.integer(in: bytes) { return .integer(integer) }
        if let number = member.double(in: bytes) { return .number(number) }
        throw JSONError(offset: member.value.lowerBound, reason: "a number is out of range")
    }

    private static func array(
        _ member: JSONMember, in bytes: UnsafeRawBufferPointer
    ) throws(JSONError) -> [JSONValue] {
        var array: [JSONValue] = []
        for element in member.elements(in: bytes) { array.append(try JSONValue(element, in: bytes)) }
        return array
    }

    private static func object(
        _ member: JSONMember, in bytes: UnsafeRawBufferPointer
    ) throws(JSONError) -> JSONObject {
        var object = JSONObject()
        for element in member.elements(in: bytes) {
            object.append(element.keyString(in: bytes), try JSONValue(element, in: bytes))
        }
        return object
    }
}

// MARK: Looking inside

extension JSONValue {
    /// A member of an object; nil in anything else.
    package subscript(key: String) -> JSONValue? { object?[key] }

    package var string: String? { if case .string(let string) = self { string } else { nil } }
    package var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }
    package var array: [JSONValue]? { if case .array(let array) = self { array } else { nil } }
    package var object: JSONObject? { if case .object(let object) = self { object } else { nil } }
    package var isNull: Bool { self == .null }

    /// An integer, or a number that is one: `8.0` is 8.
    package var int: Int? {
        switch self {
        case .integer(let integer): Int(exactly: integer)
        case .number(let number): Int(exactly: number)
        default: nil
        }
    }

    package var double: Double? {
        switch self {
        case .integer(let integer): Double(integer)
        case .number(let number): number
        default: nil
        }
    }
}

// MARK: Writing down

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringInterpolation, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    package init(nilLiteral: ()) { self = .null }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(floatLiteral value: Double) { self = .number(value) }
    package init(stringLiteral value: String) { self = .string(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(JSONObject(elements.map { (key: $0.0, value: $0.1) }))
    }

    package init(_ integer: Int) { self = .integer(Int64(integer)) }

    /// nil becomes null.
    package init(_ string: String?) { self = string.map(JSONValue.string) ?? .null }
}
