// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A small file that nobody but its owner may read, or a credential that systemd hands over (systemd.exec(5),
/// LoadCredential=).
struct SecretFile {
    /// A key of 4096 bits has 3 KB.
    static let bytesMax = 64 << 10

    let path: String
    /// systemd keeps a credential from everybody but the service's user, by means that the mode does not show.
    private let isCredential: Bool

    init(path: String) {
        self.path = path
        isCredential = false
    }

    /// nil where the service has no credentials at all.
    init?(credential name: String) {
        guard let directory = getenv("CREDENTIALS_DIRECTORY") else { return nil }
        path = "\(String(cString: directory))/\(name)"
        isCredential = true
    }

    static func isCredentialName(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && !name.utf8.contains(0x2F) && name.utf8.count <= 255
    }

    func text() throws(SecretFault) -> String {
        // Without O_NONBLOCK the open of a pipe would wait for somebody who writes.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw unreadable() }
        defer { close(descriptor) }
        try check(descriptor)
        var bytes = [UInt8](repeating: 0, count: Self.bytesMax + 1)
        var count = 0
        while count < bytes.count {
            let more = bytes.withUnsafeMutableBytes {
                read(descriptor, $0.baseAddress.map { $0 + count }, $0.count - count)
            }
            guard more >= 0 else {
                if errno == EINTR { continue }
                throw unreadable()
            }
            guard more > 0 else { break }
            count += more
        }
        guard count <= Self.bytesMax else { throw SecretFault("is over \(Self.bytesMax) bytes: not a key") }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private func check(_ descriptor: CInt) throws(SecretFault) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw unreadable() }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SecretFault("is not a regular file") }
        guard !isCredential, status.st_mode & 0o077 != 0 else { return }
        let mode = String(status.st_mode & 0o7777, radix: 8)
        throw SecretFault("is open to others than its owner (mode 0\(mode)); make it 0600 or 0400")
    }

    private func unreadable() -> SecretFault { SecretFault("cannot be read: \(String(cString: strerror(errno)))") }
}

/// Reads on after the file's name.
struct SecretFault: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
