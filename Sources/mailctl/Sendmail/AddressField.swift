// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// The addresses of a header field as they stand in it (RFC 5322 §3.4, with the comments and blanks of §4.4), so that
/// they can be collected, and completed in their place where they lack a domain.
package struct AddressField {
    package struct Address: Equatable {
        package var text: String
        package var hasDomain: Bool
        /// Where in the value an `@domain` would be put in.
        var end: Int
    }

    private let bytes: [UInt8]
    package private(set) var addresses: [Address] = []
    // The element that is being read: its words outside of angle brackets, and what stands within them.
    private var words: [(begin: Int, end: Int)] = []
    private var angle: Range<Int>?

    package init(_ value: [UInt8]) {
        bytes = value
        var index = 0
        while index < bytes.count { index = step(index) }
        endElement()
    }

    /// Reads one token and returns where the next begins.
    private mutating func step(_ index: Int) -> Int {
        switch bytes[index] {
        case UInt8(ascii: "("): return endOfComment(index)
        case UInt8(ascii: "<"):
            let end = end(of: index, at: UInt8(ascii: ">"))
            angle = index + 1..<end
            return end + 1
        case UInt8(ascii: ","), UInt8(ascii: ";"):
            endElement()
            return index + 1
        case UInt8(ascii: ":"):
            // A group's name.
            words = []
            return index + 1
        case 0x20, 0x09, 0x0A, 0x0D: return index + 1
        default:
            let end = endOfWord(index)
            words.append((index, end))
            return end
        }
    }

    private static let separators: StaticString = "()<>,;: \t\r\n\"[@"

    private static func isSeparator(_ byte: UInt8) -> Bool {
        separators.withUTF8Buffer { $0.contains(byte) }
    }

    private func endOfWord(_ start: Int) -> Int {
        switch bytes[start] {
        case UInt8(ascii: "\""): return min(bytes.count, end(of: start, at: UInt8(ascii: "\"")) + 1)
        case UInt8(ascii: "["): return min(bytes.count, end(of: start, at: UInt8(ascii: "]")) + 1)
        case UInt8(ascii: "@"): return start + 1
        default:
            return bytes[(start + 1)...].firstIndex { Self.isSeparator($0) } ?? bytes.count
        }
    }

    /// Of the closing character, or the end where it is missing. Quoted pairs and, within brackets, quoted strings do
    /// not close anything.
    private func end(of start: Int, at closing: UInt8) -> Int {
        var index = start + 1
        while index < bytes.count, bytes[index] != closing {
            if bytes[index] == UInt8(ascii: "\\") {
                index += 1
            } else if bytes[index] == UInt8(ascii: "\""), closing == UInt8(ascii: ">") {
                index = end(of: index, at: UInt8(ascii: "\""))
            }
            index += 1
        }
        return min(index, bytes.count)
    }

    private func endOfComment(_ start: Int) -> Int {
        var depth = 0
        var index = start
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\\"): index += 1
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"):
                depth -= 1
                if depth == 0 { return index + 1 }
            default: break
            }
            index += 1
        }
        return bytes.count
    }

    private mutating func endElement() {
        defer {
            words = []
            angle = nil
        }
        guard let angle else { return endBareElement() }
        var inner = Self(inside: bytes, angle)
        inner.endBareElement()
        // §4.4, obs-route: `<@a,@b:ann@c>` means what stands after the colon; nobody routes by it.
        if let address = inner.addresses.last { addresses.append(address) }
    }

    /// The words within angle brackets, as a bare element.
    private init(inside bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        var index = range.lowerBound
        while index < range.upperBound {
            switch bytes[index] {
            case UInt8(ascii: ":"), UInt8(ascii: ","):
                words = []
                index += 1
            case 0x20, 0x09, 0x0A, 0x0D: index += 1
            case UInt8(ascii: "("): index = endOfComment(index)
            default:
                let end = min(endOfWord(index), range.upperBound)
                words.append((index, max(end, index + 1)))
                index = max(end, index + 1)
            }
        }
    }

    private mutating func endBareElement() {
        guard let last = words.last else { return }
        let hasDomain = words.contains { $0.end - $0.begin == 1 && bytes[$0.begin] == UInt8(ascii: "@") }
        // RFC 5322 §4.4 lets blanks stand beside `@` and dots. Other words are no address together: they stay apart, so
        // that maild's complaint shows them, and nobody gets mail by a slip.
        let text = words.map { String(decoding: bytes[$0.begin..<$0.end], as: UTF8.self) }.reduce("") { text, word in
            let isJoined = text.isEmpty || "@.".contains(text.last ?? "@") || "@.".contains(word.first ?? "@")
            return text + (isJoined ? "" : " ") + word
        }
        addresses.append(Address(text: text, hasDomain: hasDomain, end: last.end))
    }

    /// The value with `@domain` at each address that has none.
    package func qualified(_ domain: @autoclosure () -> String) -> [UInt8] {
        var result: [UInt8] = []
        var start = 0
        for address in addresses where !address.hasDomain && !address.text.contains(" ") {
            result += bytes[start..<address.end]
            result += Array("@\(domain())".utf8)
            start = address.end
        }
        return result + bytes[start...]
    }
}
