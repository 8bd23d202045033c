// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What one statement gave; columns are read from 0. Bytes are valid for as long as it lives.
package final class Rows {
    private let handle: OpaquePointer
    private let library: LibPQ
    package let count: Int

    init(_ handle: OpaquePointer, _ library: LibPQ) {
        self.handle = handle
        self.library = library
        count = Int(library.rowCount(handle))
    }

    deinit { library.clear(handle) }

    /// Rows that the statement inserted, changed, removed or gave.
    package var affected: Int { library.affected(handle).flatMap { Int(String(cString: $0)) } ?? 0 }

    package func isNull(_ row: Int, _ column: Int) -> Bool { library.isNull(handle, CInt(row), CInt(column)) != 0 }

    package func bytes(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer {
        let start = library.value(handle, CInt(row), CInt(column))
        return UnsafeRawBufferPointer(start: start, count: Int(library.length(handle, CInt(row), CInt(column))))
    }

    /// A boolean or an integer of any width; 0 where it is NULL.
    package func integer(_ row: Int, _ column: Int) -> Int64 {
        let bytes = bytes(row, column)
        guard let first = bytes.first, bytes.count <= 8 else { return 0 }
        // The sign stands in the first byte.
        let start: Int64 = bytes.count > 1 && first >= 0x80 ? -1 : 0
        return bytes.reduce(start) { $0 << 8 | Int64($1) }
    }

    package func integerOrNil(_ row: Int, _ column: Int) -> Int64? {
        isNull(row, column) ? nil : integer(row, column)
    }

    package func text(_ row: Int, _ column: Int) -> String { String(decoding: bytes(row, column), as: UTF8.self) }
}
