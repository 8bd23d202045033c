// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

extension SignedHeader {
    /// The domain of the first address in From (RFC 5322 §3.6.2), in ASCII and small letters; nil where none is found.
    package var authorDomain: String? {
        // RFC 6376 §5.4: where From stands twice no reader is to be trusted; the topmost is what most of them show.
        guard let from = Array(fields(named: "from")).last else { return nil }
        return AuthorDomain.read(unfolded(from))
    }

    /// Whether a signature for this domain and selector stands there already.
    func isSigned(domain: String, selector: String) -> Bool {
        fields(named: "dkim-signature").contains { field in
            let tags = Self.tags(unfolded(field))
            return tags["d"]?.lowercased() == domain && tags["s"]?.lowercased() == selector.lowercased()
        }
    }

    /// RFC 6376 §3.2: `name=value` with blanks anywhere around them, semicolons between.
    private static func tags(_ value: [UInt8]) -> [String: String] {
        var tags: [String: String] = [:]
        for part in value.split(separator: 0x3B) {
            guard let equals = part.firstIndex(of: 0x3D) else { continue }
            tags[trimmed(part[..<equals])] = trimmed(part[(equals + 1)...])
        }
        return tags
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.filter { !HeaderText.isBlank($0) }, as: UTF8.self)
    }
}

/// Reads `Ann (Accounts) <ann@Example.org>, …` as far as the end of its first address's domain.
enum AuthorDomain {
    static func read(_ value: [UInt8]) -> String? {
        let bare = withoutCommentsAndStrings(value)
        let first = bare.split(separator: 0x2C).first { $0.contains(0x40) }
        guard let first, let at = first.lastIndex(of: 0x40) else { return nil }
        let rest = first[(at + 1)...].drop(while: HeaderText.isBlank)
        let domain = rest.prefix { !HeaderText.isBlank($0) && $0 != 0x3E && $0 != 0x3B }
        do throws(IDNAError) {
            let name = try IDNA.ascii(String(decoding: domain, as: UTF8.self)).lowercased()
            return Array(name.utf8).withUnsafeBytes(Mailbox.isPlainDomain) ? name : nil
        } catch {
            return nil
        }
    }

    /// RFC 5322 §3.2.2 and §3.2.4: an `@` or a comma in either says nothing of the address. A quoted string becomes
    /// `x`.
    private static func withoutCommentsAndStrings(_ value: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var depth = 0
        var isQuoted = false
        var index = 0
        while index < value.count {
            switch value[index] {
            case 0x5C where isQuoted || depth > 0: index += 1
            case 0x22 where depth == 0:
                isQuoted.toggle()
                if isQuoted { result.append(0x78) }
            case 0x28 where !isQuoted: depth += 1
            case 0x29 where !isQuoted && depth > 0: depth -= 1
            case let byte where !isQuoted && depth == 0: result.append(byte)
            default: break
            }
            index += 1
        }
        return result
    }
}
