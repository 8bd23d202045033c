// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Who gets the mail of a name without a domain: aliases(5), as Debian's policy has it in /etc/aliases (§11.6).
///
/// A name without an alias is a local mailbox, `NAME@localhost`, which maild keeps in its Maildir: mail never gets lost
/// for want of an entry. That is also the way of targets that only a mail server could serve, programs and files.
package struct Aliases {
    package static let path = "/etc/aliases"
    package static let localDomain = "localhost"

    /// By name in lower case, in the order of the file.
    private var targets: [String: [String]] = [:]
    /// What the file has that is no entry, or that cannot be served, with its line.
    package private(set) var complaints: [String] = []

    package var count: Int { targets.count }

    package func has(_ name: String) -> Bool { targets[name.lowercased()] != nil }

    package init() {}

    package init(parsing text: String) {
        var number = 0
        var entry = ""
        var first = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            let isContinuation = line.first == " " || line.first == "\t"
            if isContinuation, !entry.isEmpty {
                entry += line
            } else {
                add(entry, first)
                entry = line.first == "#" ? "" : String(line)
                first = number
            }
        }
        add(entry, first)
    }

    private mutating func add(_ entry: String, _ line: Int) {
        let entry = Self.trimmed(Self.withoutComment(entry))
        guard !entry.isEmpty else { return }
        let parts = Self.split(entry, at: ":", most: 2)
        let name = Self.unquoted(parts[0])
        guard parts.count == 2, !name.isEmpty else {
            complaints.append("line \(line): is not of the form \"name: targets\"")
            return
        }
        let list = Self.split(parts[1], at: ",").map(Self.unquoted).filter { !$0.isEmpty }
        for target in list where !Self.isServed(target) {
            complaints.append("line \(line): \(target) cannot be served here; mail goes to \(name)@\(Self.localDomain)")
        }
        targets[name.lowercased()] = list
    }

    private static func isServed(_ target: String) -> Bool {
        target == "/dev/null" || !(target.hasPrefix("|") || target.hasPrefix("/") || target.hasPrefix(":"))
    }

    /// An alias of an alias, and so on: as deep as anybody needs.
    private static let depthMax = 20

    /// Addresses with a domain, each once, in their order; none where the aliases say `/dev/null`.
    package func resolve(_ name: String) -> [String] {
        var found: [String] = []
        resolve(name, path: [], into: &found)
        return found
    }

    private func resolve(_ name: String, path: [String], into found: inout [String]) {
        let key = name.lowercased()
        let mailbox = "\(name)@\(Self.localDomain)"
        // aliases(5): a name may stand among its own targets, and means the mailbox then.
        guard let list = targets[key], !path.contains(key), path.count < Self.depthMax else {
            return Self.append(mailbox, to: &found)
        }
        for target in list where target != "/dev/null" {
            if target.hasPrefix("\\") {
                Self.append("\(target.dropFirst())@\(Self.localDomain)", to: &found)
            } else if !Self.isServed(target) {
                Self.append(mailbox, to: &found)
            } else if let local = Self.localName(target) {
                resolve(local, path: path + [key], into: &found)
            } else {
                Self.append(target, to: &found)
            }
        }
    }

    /// `ann` of `ann` and `ann@localhost`; nil for addresses of other domains.
    package static func localName(_ address: String) -> String? {
        guard let at = address.lastIndex(of: "@") else { return address }
        let domain = address[address.index(after: at)...].lowercased()
        return domain == localDomain || domain == "localhost.localdomain" ? String(address[..<at]) : nil
    }

    private static func append(_ address: String, to found: inout [String]) {
        if !found.contains(address) { found.append(address) }
    }

    // MARK: Text

    /// At the separators that stand outside of quotes.
    private static func split(_ text: String, at separator: Character, most: Int = .max) -> [String] {
        var parts: [String] = [""]
        var isQuoted = false
        for character in text {
            if character == "\"" { isQuoted.toggle() }
            if character == separator, !isQuoted, parts.count < most {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return parts
    }

    private static func withoutComment(_ text: String) -> String { split(text, at: "#")[0] }

    private static func unquoted(_ text: String) -> String {
        let text = trimmed(text)
        guard text.count > 1, text.first == "\"", text.last == "\"" else { return text }
        return String(text.dropFirst().dropLast())
    }

    static func trimmed(_ text: some StringProtocol) -> String {
        var text = text[...]
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
