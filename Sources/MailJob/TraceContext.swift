// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Which trace a job belongs to (W3C Trace Context, version 00), as the app gave it. maild hands it on as it is, and
/// makes no spans of its own.
package struct TraceContext: Equatable, Sendable {
    /// `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`
    package let parent: String
    /// What tracing systems keep beside it, such as `rojo=00f067aa0ba902b7`.
    package let state: String?

    /// Nil where `parent` is none.
    package init?(parent: some Collection<UInt8>, state: String? = nil) {
        guard Self.isParent(Array(parent)) else { return nil }
        self.parent = String(decoding: parent, as: UTF8.self)
        self.state = state
    }

    /// 32 hexadecimal digits.
    package var traceID: Substring { part(3..<35) }
    /// Of the span that the job was submitted in: 16 hexadecimal digits.
    package var spanID: Substring { part(36..<52) }

    private func part(_ range: Range<Int>) -> Substring {
        parent.dropFirst(range.lowerBound).prefix(range.count)
    }

    /// By their names, for whatever carries them on: a mail's header, a request's, an environment.
    package var fields: [(name: String, value: String)] {
        [("traceparent", parent)] + (state.map { [("tracestate", $0)] } ?? [])
    }

    // MARK: Rules

    private static let length = 55

    /// W3C Trace Context §3.2.2: version 00, 32 and 16 digits in small letters, neither all zero, and two of flags.
    private static func isParent(_ text: [UInt8]) -> Bool {
        guard text.count == length, text.starts(with: "00-".utf8), text[35] == dash, text[52] == dash else {
            return false
        }
        let digits = text[3..<35] + text[36..<52] + text[53..<55]
        return digits.allSatisfy(isDigit) && !isZero(text[3..<35]) && !isZero(text[36..<52])
    }

    private static let dash = UInt8(ascii: "-")

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func isZero(_ text: ArraySlice<UInt8>) -> Bool { text.allSatisfy { $0 == UInt8(ascii: "0") } }

    /// §3.3.1.5: what every system must be able to carry.
    package static let stateBytesMax = 512
    /// §3.3.1.1
    private static let stateMembersMax = 32

    /// §3.3.1: `key=value` members between commas, each key once.
    package static func isState(_ text: some Collection<UInt8>) -> Bool {
        guard (1...stateBytesMax).contains(text.count) else { return false }
        let members = text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard members.count <= stateMembersMax else { return false }
        var keys: Set<[UInt8]> = []
        return members.allSatisfy { member in
            let member = trimmed(member)
            guard let equals = member.firstIndex(of: UInt8(ascii: "=")) else { return false }
            let key = Array(member[..<equals])
            return isKey(key) && isValue(member[member.index(after: equals)...]) && keys.insert(key).inserted
        }
    }

    private static func trimmed(_ member: some Collection<UInt8>) -> ArraySlice<UInt8> {
        var rest = Array(member)[...]
        while let first = rest.first, first == 0x20 || first == 0x09 { rest.removeFirst() }
        while let last = rest.last, last == 0x20 || last == 0x09 { rest.removeLast() }
        return rest
    }

    /// §3.3.1.3.1: small letters, digits, `_`, `-`, `*` and `/`, and one `@` before a system's name.
    private static func isKey(_ key: [UInt8]) -> Bool {
        guard (1...256).contains(key.count), let first = key.first, isLetter(first) || isNumber(first) else {
            return false
        }
        let parts = key.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty }) else { return false }
        return key.allSatisfy { isLetter($0) || isNumber($0) || "_-*/@".utf8.contains($0) }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
    private static func isNumber(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// §3.3.1.3.2: printable ASCII but the comma and the equals sign.
    private static func isValue(_ value: ArraySlice<UInt8>) -> Bool {
        (1...256).contains(value.count)
            && value.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "=") }
    }
}
