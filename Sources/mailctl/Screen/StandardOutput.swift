// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Standard output, gathered and written in large pieces. Call `flush` before the end.
struct StandardOutput {
    private var bytes: [UInt8] = []
    private static let bytesMax = 64 << 10

    var isEmpty: Bool { bytes.isEmpty }

    mutating func line(_ text: String) throws(Failure) {
        bytes.append(contentsOf: text.utf8)
        bytes.append(0x0A)
        if bytes.count >= Self.bytesMax { try flush() }
    }

    /// `line` as it came, and a newline.
    mutating func line(_ line: ArraySlice<UInt8>) throws(Failure) {
        bytes.append(contentsOf: line)
        bytes.append(0x0A)
        if bytes.count >= Self.bytesMax { try flush() }
    }

    mutating func flush() throws(Failure) {
        let code = Descriptor.writeAll(STDOUT_FILENO, bytes)
        bytes.removeAll(keepingCapacity: true)
        switch code {
        case 0: return
        case EPIPE: throw .closedOutput
        default: throw .system(.inputOutput, "standard output", code)
        }
    }
}

/// Standard error; if it cannot be written there is nobody left to tell.
enum StandardError {
    static func write(_ text: String) { _ = Descriptor.writeAll(STDERR_FILENO, Array(text.utf8)) }

    static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }
}
