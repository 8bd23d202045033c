// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Why a secret cannot be had; never with a part of it.
package struct SecretFileError: Error, Equatable {
    /// Names the file, or the credential.
    package var reason: String

    package init(reason: String) { self.reason = reason }
}

/// A small file that nobody but its owner and group may read: a password, a token, a key.
package enum PrivateFile: Hashable, Sendable {
    /// An absolute path.
    case file(String)
    /// The name of a systemd credential (systemd.exec(5), LoadCredential=).
    case credential(String)

    /// A token has a few kilobytes, a key with its chain some more.
    static let bytesMax = 64 << 10

    /// As the configuration names it.
    package var name: String {
        switch self {
        case .file(let name), .credential(let name): name
        }
    }

    /// What the configuration's key ends in.
    package var place: String {
        switch self {
        case .file: "file"
        case .credential: "credential"
        }
    }

    /// systemd.exec(5): the name of a file in $CREDENTIALS_DIRECTORY.
    package static func isCredentialName(_ text: String) -> Bool {
        (1...255).contains(text.utf8.count) && text != "." && text != ".."
            && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x2F }
    }

    package func path() throws(SecretFileError) -> String {
        switch self {
        case .file(let path): return path
        case .credential(let name):
            guard let directory = getenv("CREDENTIALS_DIRECTORY") else {
                throw SecretFileError(
                    reason: "there is no credential \(name): $CREDENTIALS_DIRECTORY is not set by systemd")
            }
            return "\(String(cString: directory))/\(name)"
        }
    }

    /// The content without the line end that editors and `echo` put behind it.
    package func secret() throws(SecretFileError) -> Secret {
        var bytes = try content()
        if bytes.last == 0x0A { bytes.removeLast() }
        if bytes.last == 0x0D { bytes.removeLast() }
        guard !bytes.isEmpty else { throw SecretFileError(reason: "\(try path()) is empty") }
        return Secret(bytes)
    }

    package func content() throws(SecretFileError) -> [UInt8] {
        let path = try path()
        // A FIFO would hold up whoever reads; O_NONBLOCK lets it be opened and refused.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.unreadable(path, errno) }
        defer { close(descriptor) }
        try Self.check(descriptor, path)
        var bytes = [UInt8](repeating: 0, count: Self.bytesMax + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes[count...].withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw Self.unreadable(path, errno) }
            if got == 0 { break }
            count += got
        }
        guard count <= Self.bytesMax else {
            throw SecretFileError(reason: "\(path) has over \(Self.bytesMax) bytes")
        }
        return Array(bytes[..<count])
    }

    /// A group may read, as in 0640 root:maild. systemd gives a credential to the service's user by an ACL, which shows
    /// in the mode as the group's.
    private static func check(_ descriptor: CInt, _ path: String) throws(SecretFileError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw unreadable(path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SecretFileError(reason: "\(path) is no plain file") }
        guard status.st_mode & 0o027 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw SecretFileError(reason: "\(path) is open to others (mode 0\(mode)); make it 0600 or 0640")
        }
    }

    private static func unreadable(_ path: String, _ code: CInt) -> SecretFileError {
        SecretFileError(
            reason: "\(path) cannot be read: \(strerror(code).map { String(cString: $0) } ?? "error \(code)")")
    }
}
