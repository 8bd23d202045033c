// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Sixteen bytes that a node draws once and finds again at each start: two machines that were given one name are told
/// apart by them.
enum NodeToken {
    static let length = 16

    /// - Parameter path: made where it is missing.
    static func read(path: String) throws(SpoolError) -> [UInt8] {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw error(path) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: length)
        let count = pread(descriptor, &bytes, length, 0)
        guard count >= 0 else { throw error(path) }
        if count == length { return bytes }
        for index in bytes.indices { bytes[index] = UInt8.random(in: 0...255) }
        guard pwrite(descriptor, bytes, length, 0) == length, fsync(descriptor) == 0 else { throw error(path) }
        return bytes
    }

    private static func error(_ path: String) -> SpoolError {
        .unwritable(message: "\(path): \(String(cString: strerror(errno)))")
    }
}
