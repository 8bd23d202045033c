// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What JSON can be written to: an array of bytes, or a network buffer in a room that has one.
package protocol ByteSink {
    mutating func put(_ byte: UInt8)
    mutating func put(_ bytes: UnsafeRawBufferPointer)
}

extension [UInt8]: ByteSink {
    @inlinable
    package mutating func put(_ byte: UInt8) { append(byte) }

    @inlinable
    package mutating func put(_ bytes: UnsafeRawBufferPointer) { append(contentsOf: bytes) }
}

extension ByteSink {
    /// ASCII that is JSON already: `{"job":"`.
    @inlinable
    package mutating func put(_ literal: StaticString) {
        put(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }
}
