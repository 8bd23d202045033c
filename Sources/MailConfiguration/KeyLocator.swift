// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Finds the line on which a key or a table's header stands, which TOMLKit knows only for errors of syntax.
///
/// It may assume a text that parsed. What it cannot see through (a key inside an inline table) it reports by the
/// nearest enclosing key that has a line of its own. `[2]` in a path is the second table of an array.
struct KeyLocator {
    private var lines: [[String]: Int] = [:]

    init(_ text: String) {
        var table: [String] = []
        var counts: [[String]: Int] = [:]
        var quote: String?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            defer { quote = Self.openQuote(after: line, from: quote) }
            guard quote == nil else { continue }
            let start = line.drop { $0 == " " || $0 == "\t" }
            if start.hasPrefix("[") {
                table = Self.path(start.drop { $0 == "[" }, until: "]") ?? table
                if start.hasPrefix("[[") {
                    counts[table, default: 0] += 1
                    table.append("[\(counts[table] ?? 1)]")
                }
                remember(table, index + 1)
            } else if let key = Self.path(start, until: "=") {
                remember(table + key, index + 1)
            }
        }
    }

    /// 1 is the first line; 0 where nothing of `path` is in the text.
    func line(of path: [String]) -> Int {
        var rest = path[...]
        while !rest.isEmpty {
            if let line = lines[Array(rest)] { return line }
            rest = rest.dropLast()
        }
        // An array of inline tables, `name = [{ … }]`, is known by its name alone.
        let name = path.first?.split(separator: "[").first
        return name.flatMap { lines[[String($0)]] } ?? 0
    }

    /// Whether the very key stands in the text.
    func knows(_ path: [String]) -> Bool { lines[path] != nil }

    private mutating func remember(_ path: [String], _ line: Int) {
        // A table that only its children name begins where the first of them does.
        for length in stride(from: 1, through: path.count, by: 1) where lines[Array(path.prefix(length))] == nil {
            lines[Array(path.prefix(length))] = line
        }
    }

    /// Reads `a.b."c d"` up to `end`; nil where the line does not begin with a key.
    private static func path(_ text: Substring, until end: Character) -> [String]? {
        var names = [""]
        var quote: Character?
        for character in text {
            if character == quote {
                quote = nil
            } else if quote != nil {
                names[names.count - 1].append(character)
            } else if character == end {
                return names
            } else if character == "\"" || character == "'" {
                quote = character
            } else if character == "." {
                names.append("")
            } else if character == "#" {
                return nil
            } else if character != " " && character != "\t" {
                names[names.count - 1].append(character)
            }
        }
        return nil
    }

    /// The delimiter of the multi-line string that is still open at the end of `line`.
    private static func openQuote(after line: Substring, from quote: String?) -> String? {
        var open = quote
        var rest = line
        while !rest.isEmpty {
            if let delimiter = open {
                if rest.hasPrefix(delimiter) { open = nil }
            } else if rest.hasPrefix("#") {
                return nil
            } else if rest.hasPrefix("\"\"\"") || rest.hasPrefix("'''") {
                open = String(rest.prefix(3))
            }
            rest = rest.hasPrefix("\"\"\"") || rest.hasPrefix("'''") ? rest.dropFirst(3) : rest.dropFirst()
        }
        return open
    }
}
