// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Who calls, and from where. Looked up when it is asked for: most programs say it all themselves, and the system's
/// ways of finding it out are long.
final class LocalUser {
    private(set) lazy var name = entry.name
    /// The first part of the comment in the user database; may be empty.
    private(set) lazy var fullName = entry.fullName
    /// What completes an address without a domain.
    private(set) lazy var domain = Self.mailName()
    private lazy var entry = Self.calling()

    private static func calling() -> (name: String, fullName: String) {
        let id = getuid()
        let entry = getpwuid(id)
        let comment = entry?.pointee.pw_gecos.map { String(cString: $0) } ?? ""
        return (
            entry.map { String(cString: $0.pointee.pw_name) } ?? "uid\(id)",
            comment.split(separator: ",", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        )
    }

    var address: String { "\(name)@\(domain)" }

    /// /etc/mailname is Debian's place for it (policy §11.6), else the machine's own name.
    private static func mailName() -> String {
        let named = text("/etc/mailname").map(Aliases.trimmed) ?? ""
        return named.isEmpty ? UnitFailure.hostName() : named
    }

    /// nil where it cannot be read.
    static func text(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard let bytes = try? Descriptor.readAll(descriptor, path, atMost: 4 << 20) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func aliases() -> Aliases {
        Aliases(parsing: text(Environment.value("MAILD_ALIASES") ?? Aliases.path) ?? "")
    }
}
