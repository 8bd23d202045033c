// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Why a secret cannot be had; never with a part of it.
package struct SecretFileError: Error, Equatable {
    package var reason: String
}

/// A file that nobody but its owner and group may read.
enum PrivateFile {
    /// A token has a few kilobytes, a key with its chain some more.
    static let bytesMax = 64 << 10

    static var credentialsDirectory: String? { getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) } }

    static func content(of path: String) throws(SecretFileError) -> [UInt8] {
        // A FIFO would hold up the event loop; O_NONBLOCK lets it be opened and refused.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw unreadable(path, errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw unreadable(path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SecretFileError(reason: "\(path) is no plain file") }
        guard status.st_mode & 0o007 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw SecretFileError(reason: "\(path) is open to others (mode 0\(mode)); make it 0600 or 0640")
        }
        var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes[count...].withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw unreadable(path, errno) }
            if got == 0 { break }
            count += got
        }
        guard count <= bytesMax else { throw SecretFileError(reason: "\(path) has over \(bytesMax) bytes") }
        return Array(bytes[..<count])
    }

    private static func unreadable(_ path: String, _ code: CInt) -> SecretFileError {
        SecretFileError(reason: "\(path) cannot be read: \(Connector.errorText(code))")
    }
}
