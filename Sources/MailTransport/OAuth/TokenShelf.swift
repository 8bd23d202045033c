// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Crypto
import MailWire
import Secrets

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Where a refresh token is kept that an endpoint gave in place of the configured one (RFC 6749 §6): a file for each
/// relay, for the owner alone, in a directory of the state. It blocks.
///
/// The file remembers which configured token its own descends from: once the operator puts a new one in place, it is
/// void.
package struct TokenShelf: Sendable {
    private let directory: String
    private let path: String

    /// - Parameter relay: letters, digits, `-`, `_` and `.`.
    package init(directory: String, relay: String) {
        self.directory = directory
        path = "\(directory)/\(relay).json"
    }

    /// nil where there is none that descends from `ancestor`.
    package func read(ancestor: Secret) throws(SecretFileError) -> Secret? {
        guard access(path, F_OK) == 0 || errno != ENOENT else { return nil }
        let content = try PrivateFile.file(path).content()
        guard let json = try? JSONValue(parsing: content), json["ancestor"]?.string == Self.mark(ancestor) else {
            return nil
        }
        return json["refresh_token"]?.string.map { Secret($0) }
    }

    /// On disk, or the old one still is, when it returns.
    package func keep(_ token: Secret, ancestor: Secret) throws(SecretFileError) {
        if mkdir(directory, 0o700) != 0, errno != EEXIST { throw failed(directory) }
        let json: JSONValue = [
            "ancestor": .string(Self.mark(ancestor)),
            "refresh_token": .string(String(decoding: token.bytes, as: UTF8.self)),
        ]
        let new = "\(path).new"
        try write(Array((json.text + "\n").utf8), to: new)
        guard rename(new, path) == 0 else { throw failed(path) }
        // The name must be on disk as well as the bytes.
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failed(directory) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failed(directory) }
    }

    package func forget() { unlink(path) }

    private func write(_ bytes: [UInt8], to name: String) throws(SecretFileError) {
        // One that a crash left may have any mode.
        unlink(name)
        let descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failed(name) }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failed(name) }
            rest = rest.dropFirst(count)
        }
        guard fsync(descriptor) == 0 else { throw failed(name) }
    }

    private func failed(_ name: String) -> SecretFileError {
        SecretFileError(reason: "\(name) cannot be written: \(Connector.errorText(errno))")
    }

    /// Tells nothing of the token.
    private static func mark(_ token: Secret) -> String { Base64Text.encode(Array(SHA256.hash(data: token.bytes))) }
}
