// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What the machine calls itself.
package enum MachineName {
    /// The fully qualified name where the resolver knows one, else the bare one, else `localhost`:
    /// always a valid domain for EHLO. May ask the DNS.
    package static func domain() -> String {
        let name = bare() ?? ""
        if name.contains("."), HostPort.isDomain(name) { return name }
        if let full = canonical(name), full.contains("."), HostPort.isDomain(full) { return full }
        return HostPort.isDomain(name) ? name : "localhost"
    }

    private static func bare() -> String? {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return nil }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func canonical(_ name: String) -> String? {
        var hints = addrinfo()
        hints.ai_flags = AI_CANONNAME
        var found: UnsafeMutablePointer<addrinfo>?
        guard !name.isEmpty, getaddrinfo(name, nil, &hints, &found) == 0 else { return nil }
        defer { freeaddrinfo(found) }
        guard let text = found?.pointee.ai_canonname else { return nil }
        return String(cString: text)
    }
}
