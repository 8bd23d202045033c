// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// A value for a statement, in PostgreSQL's binary format: numbers are big-endian, NULL has no bytes.
package struct Parameter: Sendable {
    /// Of the type, as pg_type.dat gives it.
    let type: UInt32
    let bytes: [UInt8]?

    package static func integer(_ value: Int64?) -> Parameter {
        Parameter(type: 20, bytes: value.map { bigEndian($0) })
    }

    package static func integer(_ value: Int) -> Parameter { integer(Int64(value)) }

    package static func bytes(_ value: [UInt8]?) -> Parameter { Parameter(type: 17, bytes: value) }
    package static func text(_ value: String?) -> Parameter { Parameter(type: 25, bytes: value.map { Array($0.utf8) }) }

    package static func integers(_ values: [Int64?]) -> Parameter {
        var array = ArrayParameter.integers(count: values.count)
        for value in values { array.append(value) }
        return array.parameter
    }

    package static func blobs(_ values: [[UInt8]?]) -> Parameter {
        var array = ArrayParameter.blobs(count: values.count)
        for value in values { array.append(value) }
        return array.parameter
    }

    static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}

/// An array of one dimension, written element by element.
///
/// The format (array_recv in the server's arrayfuncs.c): dimensions, whether there are NULLs, the elements' type; of
/// each dimension its length and lower bound; then each element with its length before it, -1 for NULL.
package struct ArrayParameter {
    private let type: UInt32
    private let count: Int
    private var written = 0
    private var bytes: [UInt8] = []

    package static func integers(count: Int) -> ArrayParameter { ArrayParameter(type: 1016, of: 20, count, 12) }
    package static func blobs(count: Int, bytes: Int = 0) -> ArrayParameter {
        ArrayParameter(type: 1001, of: 17, count, 4 + bytes / max(1, count))
    }
    package static func texts(count: Int) -> ArrayParameter { ArrayParameter(type: 1009, of: 25, count, 16) }

    private init(type: UInt32, of element: UInt32, _ count: Int, _ elementBytes: Int) {
        self.type = type
        self.count = count
        bytes.reserveCapacity(20 + count * elementBytes)
        put(Int32(count == 0 ? 0 : 1))
        put(Int32(1))
        put(element)
        if count == 0 { return }
        put(Int32(count))
        put(Int32(1))
    }

    private mutating func put(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func append(_ value: Int64?) {
        written += 1
        guard let value else { return put(Int32(-1)) }
        put(Int32(8))
        put(value)
    }

    package mutating func append(_ value: [UInt8]?) {
        guard let value else { return appendNull() }
        value.withUnsafeBytes { append($0) }
    }

    package mutating func append(_ value: UnsafeRawBufferPointer) {
        written += 1
        put(Int32(value.count))
        bytes.append(contentsOf: value)
    }

    private mutating func appendNull() {
        written += 1
        put(Int32(-1))
    }

    /// As many elements must have been written as were announced.
    package var parameter: Parameter {
        precondition(written == count, "an array of \(count) with \(written) elements")
        return Parameter(type: type, bytes: bytes)
    }
}
