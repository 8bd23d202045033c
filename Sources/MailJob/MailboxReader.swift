// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Takes one address apart, and names the fault of what is none.
struct MailboxReader {
    private let text: String
    private let bytes: [UInt8]

    init(_ text: some StringProtocol) {
        var bytes = Array(text.utf8.drop { $0 == 0x20 })
        while bytes.last == 0x20 { bytes.removeLast() }
        self.bytes = bytes
        self.text = String(text)
    }

    func read() throws(MailboxError) -> Mailbox {
        guard !bytes.isEmpty else { throw MailboxError(text, "is empty") }
        // RFC 5322 §2.2 and RFC 5321 §4.1.2: no control characters; CR and LF here would be header injection.
        guard !hasControl else { throw fault("has a control character") }
        guard let bracket = try firstUnquoted(0x3C) else { return try mailbox(nil, bytes[...]) }
        guard bytes.last == 0x3E else { throw fault("has a \"<\" without a \">\" at the end") }
        let name = try displayName(bytes[..<bracket])
        return try mailbox(name, bytes[(bracket + 1)..<(bytes.count - 1)])
    }

    private func fault(_ what: String) -> MailboxError { MailboxError(text, what) }

    /// C0, DEL, and C1 (U+0080–9F), which in UTF-8 begins with C2.
    private var hasControl: Bool {
        var previous: UInt8 = 0
        for byte in bytes {
            if byte < 0x20 || byte == 0x7F || (previous == 0xC2 && byte < 0xA0) { return true }
            previous = byte
        }
        return false
    }

    /// The first `wanted` outside quoted strings.
    private func firstUnquoted(_ wanted: UInt8) throws(MailboxError) -> Int? {
        var index = 0
        var quoted = false
        while index < bytes.count {
            switch bytes[index] {
            case 0x22: quoted.toggle()
            case 0x5C where quoted: index += 1
            case wanted where !quoted: return index
            default: break
            }
            index += 1
        }
        guard !quoted else { throw fault("has a quote that is never closed") }
        return nil
    }

    /// RFC 5322 §3.2.5 phrase, read generously: it is quoted or encoded anew where it goes into a message. Only a comma
    /// outside quotes is refused, for it may be the one between two addresses.
    private func displayName(_ phrase: ArraySlice<UInt8>) throws(MailboxError) -> String? {
        var name: [UInt8] = []
        var index = phrase.startIndex
        var quoted = false
        while index < phrase.endIndex {
            switch phrase[index] {
            case 0x22: quoted.toggle()
            case 0x5C where quoted && index + 1 < phrase.endIndex:
                index += 1
                name.append(phrase[index])
            case 0x2C where !quoted:
                throw fault("has a comma outside quotes; several addresses make a list")
            case 0x20 where !quoted && (name.isEmpty || name.last == 0x20): break
            default: name.append(phrase[index])
            }
            index += 1
        }
        while name.last == 0x20 { name.removeLast() }
        return name.isEmpty ? nil : String(decoding: name, as: UTF8.self)
    }

    private func mailbox(_ name: String?, _ address: ArraySlice<UInt8>) throws(MailboxError) -> Mailbox {
        if let at = address.firstIndex(of: 0x40), address.withUnsafeBytes(Mailbox.isPlainAddress) {
            let (local, domain) = (address[..<at], address[(at + 1)...])
            return Mailbox(
                displayName: name, localPart: String(decoding: local, as: UTF8.self),
                domain: String(decoding: domain, as: UTF8.self))
        }
        let (local, domainStart) = try localPart(address)
        let domain = address[domainStart...]
        guard !domain.isEmpty else { throw fault("has no domain") }
        let result = Mailbox(
            displayName: name, localPart: String(decoding: local, as: UTF8.self), domain: try self.domain(domain))
        // RFC 5321 §4.5.3.1.3: a path has at most 256 octets with its angle brackets.
        guard local.count + 1 + result.domain.utf8.count <= Limits.addressBytesMax else {
            throw fault("is longer than \(Limits.addressBytesMax) octets")
        }
        return result
    }

    /// The part before the `@` as it goes over the wire, and the index after the `@`.
    private func localPart(_ address: ArraySlice<UInt8>) throws(MailboxError) -> (ArraySlice<UInt8>, Int) {
        if address.first == 0x22 { return try quotedLocalPart(address) }
        guard let at = address.firstIndex(of: 0x40) else { throw fault("has no domain") }
        let local = address[..<at]
        guard !local.isEmpty else { throw fault("has nothing before the \"@\"") }
        // RFC 5321 §4.1.2 Dot-string, with RFC 6531 §3.3 for what is not ASCII.
        for part in local.split(separator: 0x2E, omittingEmptySubsequences: false) {
            guard !part.isEmpty else { throw fault("has a dot too many before the \"@\"") }
            try check(part) { $0 >= 0x80 || ASCII.isAtomText($0) }
        }
        try checkLength(local)
        return (local, at + 1)
    }

    /// RFC 5321 §4.1.2 Quoted-string; the quotes are dropped where a dot-atom says the same.
    private func quotedLocalPart(_ address: ArraySlice<UInt8>) throws(MailboxError) -> (ArraySlice<UInt8>, Int) {
        var content: [UInt8] = []
        var wire: [UInt8] = [0x22]
        var index = address.startIndex + 1
        while index < address.endIndex, address[index] != 0x22 {
            if address[index] == 0x5C, index + 1 < address.endIndex { index += 1 }
            let byte = address[index]
            content.append(byte)
            if byte == 0x22 || byte == 0x5C { wire.append(0x5C) }
            wire.append(byte)
            index += 1
        }
        wire.append(0x22)
        guard index + 1 < address.endIndex, address[index + 1] == 0x40 else { throw fault("has no domain") }
        let parts = content.split(separator: 0x2E, omittingEmptySubsequences: false)
        let isDotAtom = parts.allSatisfy { !$0.isEmpty && $0.allSatisfy { $0 >= 0x80 || ASCII.isAtomText($0) } }
        let local = isDotAtom ? content[...] : wire[...]
        try checkLength(local)
        return (local, index + 2)
    }

    private func checkLength(_ local: ArraySlice<UInt8>) throws(MailboxError) {
        // RFC 5321 §4.5.3.1.1
        guard local.count <= Limits.localPartBytesMax else {
            throw fault("has more than \(Limits.localPartBytesMax) octets before the \"@\"")
        }
    }

    /// Throws at the first octet that `allowed` refuses, and at blanks beyond ASCII.
    private func check(_ part: ArraySlice<UInt8>, _ allowed: (UInt8) -> Bool) throws(MailboxError) {
        if let byte = part.first(where: { !allowed($0) }) {
            throw byte == 0x20 ? fault("has a blank in the address") : character(byte)
        }
        guard part.contains(where: { $0 >= 0x80 }) else { return }
        let blank = String(decoding: part, as: UTF8.self).unicodeScalars.contains { $0.properties.isWhitespace }
        guard !blank else { throw fault("has a blank in the address") }
    }

    private func character(_ byte: UInt8) -> MailboxError {
        switch byte {
        case 0x40: fault("has more than one \"@\"")
        case 0x2C, 0x3B: fault("has a comma or semicolon; several addresses make a list")
        case 0x3E: fault("has a \">\" before its end; several addresses make a list")
        default: fault("has a \"\(Character(Unicode.Scalar(byte)))\" where none may stand")
        }
    }

    private func domain(_ domain: ArraySlice<UInt8>) throws(MailboxError) -> String {
        guard domain.first != 0x5B else { return try literal(domain) }
        try checkLabels(domain)
        let ascii: String
        do throws(IDNAError) {
            ascii = try IDNA.ascii(String(decoding: domain, as: UTF8.self))
        } catch {
            throw fault(error.reason)
        }
        // The mapping brings lengths of its own, and dots and signs that were full-width before.
        if domain.contains(where: { $0 >= 0x80 }) { try checkLabels(Array(ascii.utf8)[...]) }
        return ascii
    }

    private func checkLabels(_ domain: ArraySlice<UInt8>) throws(MailboxError) {
        // RFC 5321 §4.5.3.1.2
        guard domain.count <= Limits.domainBytesMax else {
            throw fault("has a domain of more than \(Limits.domainBytesMax) octets")
        }
        for label in domain.split(separator: 0x2E, omittingEmptySubsequences: false) { try checkLabel(label) }
    }

    /// RFC 1035 §2.3.1 and RFC 5890 §2.3.1: letters, digits, inner hyphens; or UTF-8.
    private func checkLabel(_ label: ArraySlice<UInt8>) throws(MailboxError) {
        guard !label.isEmpty else { throw fault("has a dot too many in the domain") }
        try check(label) { $0 >= 0x80 || $0 == 0x2D || ASCII.isAlphanumeric($0) }
        guard label.first != 0x2D, label.last != 0x2D else {
            throw fault("has a part of the domain that begins or ends with a hyphen")
        }
        // RFC 1035 §2.3.4. What is not ASCII has at least as many octets in its A-label as it has characters.
        let length = label.reduce(0) { $1 & 0xC0 == 0x80 ? $0 : $0 + 1 }
        guard length <= 63 else { throw fault("has a part of the domain of more than 63 octets") }
    }

    /// RFC 5321 §4.1.3: `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    private func literal(_ domain: ArraySlice<UInt8>) throws(MailboxError) -> String {
        let inner = String(decoding: domain.dropFirst().dropLast(), as: UTF8.self)
        let isIPv6 = inner.utf8.count > 5 && inner.prefix(5).lowercased() == "ipv6:"
        let address = isIPv6 ? String(inner.dropFirst(5)) : inner
        var storage = in6_addr()
        guard domain.last == 0x5D, inet_pton(isIPv6 ? AF_INET6 : AF_INET, address, &storage) == 1 else {
            throw fault("has a domain in brackets that is no IP address; write [192.0.2.1] or [IPv6:2001:db8::1]")
        }
        return isIPv6 ? "[IPv6:\(address)]" : "[\(address)]"
    }
}
