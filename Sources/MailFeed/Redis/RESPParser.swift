// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Makes values of the bytes that a Redis server sends, however they are cut (RESP2, and RESP3 as the specification at
/// redis.io has it, without streamed types, which no server sends unasked). No I/O.
package struct RESPParser: Sendable {
    package struct Fault: Error, Equatable, Sendable {
        package var reason: String
    }

    private enum Shape { case list, attribute }

    /// An array whose elements are not all there.
    private struct Frame {
        var shape: Shape
        var left: Int
        var items: [RESPValue] = []
    }

    private enum Element {
        case value(RESPValue)
        case open(Shape, Int)
    }

    /// A job has at most 40 MiB.
    private static let bulkBytesMax = 128 << 20
    private static let countMax = 1 << 20
    private static let depthMax = 16
    private static let lineBytesMax = 64 << 10

    private var buffer: [UInt8] = []
    private var begin = 0
    private var stack: [Frame] = []

    package init() {}

    package mutating func append(_ bytes: some Collection<UInt8>) {
        if begin > 0 {
            buffer.removeSubrange(..<begin)
            begin = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole value; nil if it takes more bytes.
    package mutating func next() throws(Fault) -> RESPValue? {
        while let element = try element() {
            switch element {
            case .open(let shape, let count) where count > 0:
                guard stack.count < Self.depthMax else { throw Fault(reason: "nested too deep") }
                stack.append(Frame(shape: shape, left: count))
            case .open(.list, _):
                if let value = closing(.array([])) { return value }
            case .open: break
            case .value(let value):
                if let value = closing(value) { return value }
            }
        }
        return nil
    }

    /// Puts a value where it belongs; returns it, or the array around it, where that is whole.
    private mutating func closing(_ value: RESPValue) -> RESPValue? {
        var value = value
        while var frame = stack.popLast() {
            frame.items.append(value)
            frame.left -= 1
            guard frame.left == 0 else {
                stack.append(frame)
                return nil
            }
            // Attributes say something about the value that follows them, which is all we want.
            if frame.shape == .attribute { return nil }
            value = .array(frame.items)
        }
        return value
    }

    private mutating func element() throws(Fault) -> Element? {
        guard let end = endOfLine() else {
            if buffer.count - begin > Self.lineBytesMax { throw Fault(reason: "a line without end") }
            return nil
        }
        let line = buffer[begin..<end]
        guard let type = line.first else { throw Fault(reason: "an empty line") }
        let rest = line.dropFirst()
        switch type {
        case UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "!"): return try bulk(type, rest, behind: end + 2)
        case UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: ">"): return try open(.list, rest, times: 1, end)
        case UInt8(ascii: "%"): return try open(.list, rest, times: 2, end)
        case UInt8(ascii: "|"): return try open(.attribute, rest, times: 2, end)
        default:
            let value = try Self.simple(type, rest)
            begin = end + 2
            return .value(value)
        }
    }

    private func endOfLine() -> Int? {
        guard let place = buffer[begin...].firstIndex(of: 0x0D), place + 1 < buffer.count else { return nil }
        return place
    }

    private mutating func bulk(_ type: UInt8, _ rest: ArraySlice<UInt8>, behind start: Int) throws(Fault) -> Element? {
        let count = try Self.number(rest)
        if count == -1 {
            begin = start
            return .value(.null)
        }
        guard count >= 0, count <= Self.bulkBytesMax else { throw Fault(reason: "a string of \(count) bytes") }
        guard buffer.count >= start + count + 2 else { return nil }
        let bytes = Array(buffer[start..<start + count])
        begin = start + count + 2
        switch type {
        case UInt8(ascii: "!"): return .value(.error(String(decoding: bytes, as: UTF8.self)))
        // `txt:` or `mkd:` stands before a verbatim string.
        case UInt8(ascii: "="): return .value(.string(Array(bytes.dropFirst(4))))
        default: return .value(.string(bytes))
        }
    }

    private mutating func open(
        _ shape: Shape, _ rest: ArraySlice<UInt8>, times: Int, _ end: Int
    ) throws(Fault) -> Element {
        let count = try Self.number(rest)
        guard count >= -1, count <= Self.countMax else { throw Fault(reason: "an array of \(count) elements") }
        begin = end + 2
        return count == -1 ? .value(.null) : .open(shape, count * times)
    }

    private static func simple(_ type: UInt8, _ rest: ArraySlice<UInt8>) throws(Fault) -> RESPValue {
        let text = String(decoding: rest, as: UTF8.self)
        switch type {
        case UInt8(ascii: "+"), UInt8(ascii: "("): return .string(Array(rest))
        case UInt8(ascii: "-"): return .error(text)
        case UInt8(ascii: ":"):
            guard let number = Int64(text) else { throw Fault(reason: "\(text) is no number") }
            return .integer(number)
        case UInt8(ascii: ","):
            guard let number = Double(text) else { throw Fault(reason: "\(text) is no number") }
            return .double(number)
        case UInt8(ascii: "#"): return .bool(text == "t")
        case UInt8(ascii: "_"): return .null
        default: throw Fault(reason: "a value begins with byte \(type)")
        }
    }

    private static func number(_ digits: ArraySlice<UInt8>) throws(Fault) -> Int {
        guard let number = Int(String(decoding: digits, as: UTF8.self)) else {
            throw Fault(reason: "\(String(decoding: digits, as: UTF8.self)) is no length")
        }
        return number
    }
}
