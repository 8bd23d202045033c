// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Addresses from which an app may send.
package enum SenderPattern: Hashable, Sendable {
    /// `app@example.org`: this one.
    case address(local: String, domain: String)
    /// `@example.org`: all of the domain.
    case domain(String)
    /// `*.example.org`: all of every domain below it.
    case below(String)

    /// Nil for what is none of the three forms.
    package init?(_ text: String) {
        if text.hasPrefix("@") || text.hasPrefix("*.") {
            guard let domain = Self.domain(text.dropFirst(text.hasPrefix("@") ? 1 : 2)) else { return nil }
            self = text.hasPrefix("@") ? .domain(domain) : .below(domain)
            return
        }
        // Whoever writes `*@example.org` means `@example.org`, and not somebody called `*`.
        guard !text.hasPrefix("*"), let mailbox = try? Mailbox(parsing: text), mailbox.displayName == nil else {
            return nil
        }
        self = .address(local: mailbox.localPart, domain: mailbox.domain.lowercased())
    }

    private static func domain(_ text: Substring) -> String? {
        guard let name = try? IDNA.ascii(String(text)).lowercased() else { return nil }
        return Array(name.utf8).withUnsafeBytes(Mailbox.isPlainDomain) ? name : nil
    }

    /// RFC 5321 §2.4: a domain is the same in any case of letters, a local part is not.
    package func matches(_ mailbox: Mailbox) -> Bool {
        let name = mailbox.domain.lowercased()
        return switch self {
        case .address(let local, let domain): local == mailbox.localPart && domain == name
        case .domain(let domain): domain == name
        case .below(let domain): name.hasSuffix(".\(domain)")
        }
    }
}
