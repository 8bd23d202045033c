// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Walks over the elements of an array or the members of an object that a scanner has let pass. It judges nothing
/// again, so that a large string costs one memchr; given other bytes it finds something meaningless, safely.
package struct JSONElements: Sequence, IteratorProtocol {
    private let bytes: UnsafeRawBufferPointer
    private let isObject: Bool
    /// The closing bracket.
    private let end: Int
    private var offset: Int

    package init(_ member: JSONMember, in bytes: UnsafeRawBufferPointer) {
        let isNested = member.kind == .object || member.kind == .array
        self.bytes = bytes
        self.isObject = member.kind == .object
        self.end = isNested ? member.value.upperBound - 1 : 0
        self.offset = isNested ? member.value.lowerBound + 1 : 0
    }

    package mutating func next() -> JSONMember? {
        skipSeparators()
        guard offset < end else { return nil }
        var key = offset..<offset
        var keyEscaped = false
        if isObject {
            offset = endOfString(from: offset)
            key = key.lowerBound + 1..<Swift.max(offset - 1, key.lowerBound + 1)
            keyEscaped = hasBackslash(key)
            skipSeparators()
        }
        let begin = offset
        let value = value()
        offset = value.end
        return JSONMember(key: key, keyEscaped: keyEscaped, start: begin, value: value)
    }

    /// White space, a comma, a colon.
    private mutating func skipSeparators() {
        while offset < end {
            let byte = bytes[offset]
            guard byte <= 0x20 || byte == UInt8(ascii: ",") || byte == UInt8(ascii: ":") else { return }
            offset += 1
        }
    }

    private func value() -> JSONScanner.Value {
        guard offset < end else { return JSONScanner.Value(kind: .null, end: offset) }
        switch bytes[offset] {
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "{"): return JSONScanner.Value(kind: .object, end: endOfNested())
        case UInt8(ascii: "["): return JSONScanner.Value(kind: .array, end: endOfNested())
        case UInt8(ascii: "t"): return JSONScanner.Value(kind: .true, end: endOfWord())
        case UInt8(ascii: "f"): return JSONScanner.Value(kind: .false, end: endOfWord())
        case UInt8(ascii: "n"): return JSONScanner.Value(kind: .null, end: endOfWord())
        default: return JSONScanner.Value(kind: .number, end: endOfWord())
        }
    }

    private func string() -> JSONScanner.Value {
        let stop = endOfString(from: offset)
        let content = offset + 1..<Swift.max(stop - 1, offset + 1)
        return JSONScanner.Value(
            kind: .string, escaped: hasBackslash(content), ascii: isASCII(content), end: stop)
    }

    private func isASCII(_ range: Range<Int>) -> Bool {
        var seen: UInt64 = 0
        var place = range.lowerBound
        while place + 8 <= range.upperBound {
            seen |= bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            place += 8
        }
        while place < range.upperBound {
            seen |= UInt64(bytes[place])
            place += 1
        }
        return seen & 0x8080_8080_8080_8080 == 0
    }

    /// Behind the closing quote of the string whose opening one is at `place`.
    private func endOfString(from place: Int) -> Int {
        guard let base = bytes.baseAddress else { return end }
        let begin = place + 1
        var place = begin
        while place < end, let found = memchr(base + place, 0x22, end - place) {
            let quote = UnsafeRawPointer(found) - base
            var backslashes = 0
            while quote - backslashes > begin, bytes[quote - backslashes - 1] == UInt8(ascii: "\\") { backslashes += 1 }
            place = quote + 1
            if backslashes.isMultiple(of: 2) { return place }
        }
        return end
    }

    private func endOfNested() -> Int {
        var place = offset
        var depth = 0
        while place < end {
            switch bytes[place] {
            case UInt8(ascii: "\""):
                place = endOfString(from: place)
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
            place += 1
            if depth == 0 { return place }
        }
        return end
    }

    private func endOfWord() -> Int {
        var place = offset + 1
        while place < end, bytes[place] > 0x20, bytes[place] != UInt8(ascii: ",") { place += 1 }
        return place
    }

    private func hasBackslash(_ range: Range<Int>) -> Bool {
        guard let base = bytes.baseAddress, !range.isEmpty else { return false }
        return memchr(base + range.lowerBound, 0x5C, range.count) != nil
    }
}
