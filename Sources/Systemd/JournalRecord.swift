// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// One line of the log as its sink sees it, borrowed from the bytes that `JournalLine` wrote.
package struct JournalRecord {
    package let priority: Priority
    /// Since 1970-01-01T00:00:00Z.
    package let nanoseconds: Int64
    private let body: UnsafeRawBufferPointer

    private static let headBytes = 1 + 8

    /// Calls `visit` with each record of `bytes`, in order.
    package static func forEach(_ bytes: UnsafeRawBufferPointer, _ visit: (JournalRecord) -> Void) {
        var offset = 0
        while offset + 4 + headBytes <= bytes.count {
            let length = Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            let end = min(offset + 4 + length, bytes.count)
            visit(JournalRecord(UnsafeRawBufferPointer(rebasing: bytes[offset + 4..<end])))
            offset = end
        }
    }

    private init(_ bytes: UnsafeRawBufferPointer) {
        priority = Priority(rawValue: bytes[0]) ?? .error
        nanoseconds = bytes.loadUnaligned(fromByteOffset: 1, as: Int64.self)
        body = UnsafeRawBufferPointer(rebasing: bytes[Self.headBytes...])
    }

    /// Calls `visit` with the bytes of each field, `NAME=value`.
    package func forEachField(_ visit: (UnsafeRawBufferPointer) -> Void) {
        var offset = 0
        while offset + 4 <= body.count {
            let length = Int(body.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            let end = min(offset + 4 + length, body.count)
            visit(UnsafeRawBufferPointer(rebasing: body[offset + 4..<end]))
            offset = end
        }
    }

    /// The fields as text, for tests and for whoever is in no hurry.
    package var fields: [(name: String, value: String)] {
        var list: [(name: String, value: String)] = []
        forEachField { bytes in
            let equals = bytes.firstIndex(of: UInt8(ascii: "=")) ?? bytes.endIndex
            let value = bytes.dropFirst(equals + 1)
            list.append((String(decoding: bytes[..<equals], as: UTF8.self), String(decoding: value, as: UTF8.self)))
        }
        return list
    }
}
