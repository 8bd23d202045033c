// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import TOMLKit

/// Takes typed, bounded values out of one TOML text; every complaint names file, line and key.
///
/// Each reading method changes `value` only where the key is there, so that the default stands where it is not.
package struct ConfigurationReader {
    package let file: String
    private let root: TOMLTable
    private let locator: KeyLocator

    package init(_ text: String, file: String) throws(ConfigurationError) {
        self.file = file
        locator = KeyLocator(text)
        // TOMLKit hands the text on as a C string: past a NUL nothing would be read, and nobody would notice.
        guard !text.utf8.contains(0) else { throw ConfigurationError(file: file, message: "contains a NUL character") }
        do {
            root = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw ConfigurationError(file: file, line: Self.line(of: error, in: text), message: error.description)
        } catch {
            throw ConfigurationError(file: file, message: "\(error)")
        }
    }

    /// toml++ complains of some table headers only on the line after them.
    private static func line(of error: TOMLParseError, in text: String) -> Int {
        let line = error.source.begin.line
        guard error.description.contains("table header"), error.source.begin.column == 1, line > 1 else { return line }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let header = lines.prefix(line).lastIndex { $0.drop { $0 == " " || $0 == "\t" }.hasPrefix("[") }
        return header.map { $0 + 1 } ?? line
    }

    package func error(_ path: [String], _ message: String) -> ConfigurationError {
        let key = path.joined(separator: ".").replacing(".[", with: "[")
        return ConfigurationError(file: file, line: locator.line(of: path), key: key, message: message)
    }

    /// Whether the file says so itself; a default may be to blame otherwise.
    package func has(_ path: [String]) -> Bool { node(path) != nil }

    package func isTable(_ path: [String]) -> Bool { node(path)?.table != nil }

    /// The table at `path`, nil where there is none; anything else at that place is an error.
    package func names(in path: [String]) throws(ConfigurationError) -> [String]? {
        guard !path.isEmpty else { return root.keys }
        guard let value = node(path) else { return nil }
        guard let table = value.table else { throw wrongType(path, "a table", value) }
        return table.keys
    }

    /// The paths of the tables of an array; none where there is none.
    package func tables(in path: [String]) throws(ConfigurationError) -> [[String]] {
        guard let value = node(path) else { return [] }
        guard let array = value.array, array.allSatisfy({ $0.table != nil }) else {
            throw error(path, "must be tables in double brackets: [[\(path.joined(separator: "."))]]")
        }
        return array.indices.map { path + ["[\($0 + 1)]"] }
    }

    /// One string or a list of them, at least one; nil where the key is not there.
    package func strings(
        _ path: [String], wanted: String, mayBeEmpty: Bool = false, _ accept: (String) -> Bool
    ) throws(ConfigurationError) -> [String]? {
        guard let found = node(path) else { return nil }
        let list: [TOMLValueConvertible] = found.array.map(Array.init) ?? [found]
        guard mayBeEmpty || !list.isEmpty else { throw error(path, "must not be empty") }
        var texts: [String] = []
        for item in list {
            guard let text = item.string else { throw wrongType(path, "a string or a list of strings", item) }
            guard accept(text) else { throw error(path, "must be \(wanted), not \"\(text)\"") }
            texts.append(text)
        }
        return texts
    }

    /// One number or name, or a list of them, at least one; `number` looks a name up. Nil where the key is not there.
    package func numbers(
        _ path: [String], wanted: String, _ number: (String) -> UInt32?
    ) throws(ConfigurationError) -> [UInt32]? {
        guard let found = node(path) else { return nil }
        let list: [TOMLValueConvertible] = found.array.map(Array.init) ?? [found]
        guard !list.isEmpty else { throw error(path, "must not be empty") }
        var numbers: [UInt32] = []
        for item in list {
            if let number = item.int {
                // The last one means that there is none (chown(2)).
                guard let id = UInt32(exactly: number), id != .max else {
                    throw error(path, "must be from 0 to \(UInt32.max - 1), not \(number)")
                }
                numbers.append(id)
                continue
            }
            guard let name = item.string else { throw wrongType(path, "names or numbers", item) }
            guard let id = number(name) else { throw error(path, "must be \(wanted), not \"\(name)\"") }
            numbers.append(id)
        }
        return numbers
    }

    package func readPath(_ path: [String], into value: inout String) throws(ConfigurationError) {
        try read(path, into: &value, wanted: "an absolute path") { $0.hasPrefix("/") ? $0 : nil }
    }

    package func read(_ path: [String], into value: inout Int, _ range: ClosedRange<Int>) throws(ConfigurationError) {
        guard let found = node(path) else { return }
        guard let number = found.int else { throw wrongType(path, "an integer", found) }
        guard range.contains(number) else {
            throw error(path, "must be from \(range.lowerBound) to \(range.upperBound), not \(number)")
        }
        value = number
    }

    /// A number of seconds, whole or not.
    package func read(_ path: [String], into value: inout Double, _ range: ClosedRange<Double>)
        throws(ConfigurationError)
    {
        guard let found = node(path) else { return }
        guard let number = found.double ?? found.int.map(Double.init) else { throw wrongType(path, "a number", found) }
        guard range.contains(number) else {
            let bounds = "from \(plain(range.lowerBound)) to \(plain(range.upperBound))"
            throw error(path, "must be \(bounds), not \(plain(number))")
        }
        value = number
    }

    package func read(_ path: [String], into value: inout Bool) throws(ConfigurationError) {
        guard let found = node(path) else { return }
        guard let flag = found.bool else { throw wrongType(path, "true or false", found) }
        value = flag
    }

    /// A string that `accept` turns into a value; where it cannot, the complaint says what is `wanted`, and quotes what
    /// was found unless that `mayBeSecret`: complaints end in the journal.
    package func read<Value>(
        _ path: [String], into value: inout Value, wanted: String, mayBeSecret: Bool = false,
        _ accept: (String) -> Value?
    ) throws(ConfigurationError) {
        guard let found = node(path) else { return }
        guard let text = found.string else { throw wrongType(path, "a string", found) }
        guard let accepted = accept(text) else {
            throw error(path, "must be \(wanted)" + (mayBeSecret ? "" : ", not \"\(text)\""))
        }
        value = accepted
    }

    /// `[2]` in a path is the second of an array.
    private func node(_ path: [String]) -> TOMLValueConvertible? {
        var found: TOMLValueConvertible = root
        for name in path {
            if name.hasPrefix("["), let array = found.array, let number = Int(name.dropFirst().dropLast()) {
                guard array.indices.contains(number - 1) else { return nil }
                found = array[number - 1]
                continue
            }
            guard let next = found.table?[name] else { return nil }
            found = next
        }
        return found
    }

    /// `name[3]` of an array of tables.
    private func wrongType(_ path: [String], _ wanted: String, _ found: TOMLValueConvertible) -> ConfigurationError {
        error(path, "must be \(wanted), not \(Self.article(found.type)) \(found.type)")
    }

    private static func article(_ type: TOMLType) -> String { type == .int || type == .array ? "an" : "a" }

    private func plain(_ number: Double) -> String {
        number.rounded() == number && number.magnitude < 1e15 ? String(Int(number)) : String(number)
    }
}
