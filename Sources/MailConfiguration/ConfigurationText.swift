// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The text of a configuration file.
package enum ConfigurationText {
    /// A configuration of a thousand relays has 200 KB; anything larger is some other file.
    private static let fileBytesMax = 1 << 20

    /// nil only where the file is missing and may be.
    package static func of(_ file: String, mayBeMissing: Bool) throws(ConfigurationError) -> String? {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if mayBeMissing, errno == ENOENT || errno == ENOTDIR { return nil }
            throw unreadable(file, errno)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= fileBytesMax {
            let count = read(descriptor, &chunk, chunk.count)
            guard count >= 0 else {
                if errno == EINTR { continue }
                throw unreadable(file, errno)
            }
            guard count > 0 else { return try utf8(bytes, file) }
            bytes += chunk[..<count]
        }
        throw ConfigurationError(file: file, message: "is over \(fileBytesMax) bytes: not a configuration")
    }

    private static func utf8(_ bytes: [UInt8], _ file: String) throws(ConfigurationError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError(file: file, message: "is not UTF-8")
        }
        return text
    }

    private static func unreadable(_ file: String, _ code: Int32) -> ConfigurationError {
        ConfigurationError(file: file, message: "cannot be read: \(String(cString: strerror(code)))")
    }
}
