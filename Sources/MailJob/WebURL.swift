// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Completes "the URL …".
package struct WebURLError: Error, Equatable {
    package var reason: String

    package init(_ reason: String) { self.reason = reason }
}

/// An absolute URL of `http` or `https` (RFC 3986, RFC 9110 §4.2), taken apart for a client.
///
/// Described by its origin alone: path and query of a webhook are its password as often as not.
package struct WebURL: Hashable, Sendable, CustomStringConvertible {
    package var isSecure: Bool
    /// A domain name in ASCII and small letters, or an IP address without brackets.
    package var host: String
    package var port: Int
    /// Path and query as they stand in a request's first line; at least "/".
    package var target: String

    package static let bytesMax = 8192

    /// RFC 9110 §4.3.1: where a connection leads.
    package var origin: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return "\(isSecure ? "https" : "http")://\(name)\(port == (isSecure ? 443 : 80) ? "" : ":\(port)")"
    }

    /// RFC 9110 §7.2: the field Host.
    package var authority: String { String(origin.drop { $0 != "/" }.dropFirst(2)) }

    package var description: String { origin }

    package init(parsing text: String) throws(WebURLError) {
        guard text.utf8.count <= Self.bytesMax else {
            throw WebURLError("has over \(Self.bytesMax) bytes")
        }
        // RFC 3986 §3.1: letters of either case.
        guard let colon = text.firstIndex(of: ":"), let isSecure = Self.schemes[text[..<colon].lowercased()],
            text[colon...].hasPrefix("://")
        else { throw WebURLError("does not begin with https:// or http://") }
        let rest = text[text.index(colon, offsetBy: 3)...]
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        self.isSecure = isSecure
        (host, port) = try Self.place(rest[..<end], isSecure: isSecure)
        target = try Self.target(rest[end...])
    }

    private static let schemes = ["http": false, "https": true]

    /// RFC 3986 §3.2.
    private static func place(
        _ authority: Substring, isSecure: Bool
    ) throws(WebURLError) -> (host: String, port: Int) {
        guard !authority.contains("@") else {
            throw WebURLError("has a user before its host; a secret goes into a header")
        }
        var host = authority
        var digits = Substring()
        let last = host.lastIndex(of: "]") ?? host.startIndex
        if let colon = host[last...].lastIndex(of: ":") {
            digits = host[host.index(after: colon)...]
            host = host[..<colon]
            guard !digits.isEmpty, digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let port = Int(digits),
                1...65535 ~= port
            else { throw WebURLError("has no port from 1 to 65535 behind its colon") }
            return (try name(host), port)
        }
        return (try name(host), isSecure ? 443 : 80)
    }

    private static func name(_ text: Substring) throws(WebURLError) -> String {
        guard !text.isEmpty else { throw WebURLError("has no host") }
        if text.hasPrefix("[") {
            let inner = String(text.dropFirst().dropLast())
            guard text.hasSuffix("]"), isAddress(inner, AF_INET6) else {
                throw WebURLError("has in its brackets no IPv6 address")
            }
            return inner.lowercased()
        }
        let host: String
        do throws(IDNAError) {
            host = try IDNA.ascii(String(text)).lowercased()
        } catch {
            throw WebURLError(error.reason)
        }
        if isAddress(host, AF_INET) { return host }
        let labels = host.utf8.split(separator: 0x2E, omittingEmptySubsequences: false)
        let isName = labels.allSatisfy { label in
            (1...63).contains(label.count) && label.allSatisfy { ASCII.isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F }
        }
        // RFC 3986 §3.2.2 takes what looks like an address for one; and 127.1 or 0x7f000001 are addresses to some.
        let isNumber = labels.last?.first.map { 0x30...0x39 ~= $0 } ?? true
        guard isName, !isNumber, host.utf8.count <= Limits.domainBytesMax else {
            throw WebURLError("has a host that is neither a domain name nor an IP address")
        }
        return host
    }

    private static func isAddress(_ text: String, _ family: CInt) -> Bool {
        var storage = in6_addr()
        return inet_pton(family, text, &storage) == 1
    }

    /// RFC 3986 §3.3 and §3.4; the fragment is the client's own business (RFC 9110 §4.2.5).
    private static func target(_ text: Substring) throws(WebURLError) -> String {
        let sent = text.prefix { $0 != "#" }
        var hexadecimal = 0
        for byte in sent.utf8 {
            if hexadecimal > 0 {
                guard isHexadecimal(byte) else { throw WebURLError("has a % without two hexadecimal digits") }
                hexadecimal -= 1
            } else if byte == UInt8(ascii: "%") {
                hexadecimal = 2
            } else if !ASCII.isAlphanumeric(byte), !marks.contains(byte) {
                throw WebURLError("has a character that must be written in percent-encoding")
            }
        }
        guard hexadecimal == 0 else { throw WebURLError("has a % without two hexadecimal digits") }
        return sent.hasPrefix("/") ? String(sent) : "/\(sent)"
    }

    private static let marks = Set("-._~!$&'()*+,;=:@/?[]|".utf8)

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        0x30...0x39 ~= byte || 0x41...0x46 ~= byte || 0x61...0x66 ~= byte
    }
}

extension WebURL {
    /// RFC 3986 §5.2, without the dots of a path: servers know them.
    package func resolving(_ reference: String) throws(WebURLError) -> WebURL {
        let scheme = isSecure ? "https:" : "http:"
        if reference.hasPrefix("//") { return try WebURL(parsing: scheme + reference) }
        let head = reference.prefix { !"/?#".contains($0) }
        if head.contains(":") { return try WebURL(parsing: reference) }
        if reference.hasPrefix("/") { return try WebURL(parsing: origin + reference) }
        let path = target.prefix { $0 != "?" }
        if reference.hasPrefix("?") { return try WebURL(parsing: origin + path + reference) }
        if head.isEmpty { return self }
        let folder = path[...(path.lastIndex(of: "/") ?? path.startIndex)]
        return try WebURL(parsing: origin + folder + reference)
    }

    /// The same origin, and a target that begins with this one's up to the end of a part.
    package func covers(_ other: WebURL) -> Bool {
        guard origin == other.origin, other.target.hasPrefix(target) else { return false }
        let next = other.target.dropFirst(target.count).first
        return target.hasSuffix("/") || next == nil || next == "/" || next == "?"
    }
}
