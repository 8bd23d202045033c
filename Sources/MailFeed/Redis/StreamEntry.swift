// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// An entry's name in a Redis stream: milliseconds and a number within them.
package struct StreamID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var milliseconds: UInt64
    package var number: UInt64

    package init(milliseconds: UInt64, number: UInt64) {
        self.milliseconds = milliseconds
        self.number = number
    }

    package init?(_ text: String) { self.init(Array(text.utf8)) }

    /// One for each entry of a stream: without strings.
    init?(_ bytes: [UInt8]) {
        guard let dash = bytes.firstIndex(of: UInt8(ascii: "-")), let milliseconds = Self.number(bytes[..<dash]),
            let number = Self.number(bytes[(dash + 1)...])
        else { return nil }
        self.init(milliseconds: milliseconds, number: number)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard (1...20).contains(digits.count) else { return nil }
        var number: UInt64 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            let (tens, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isStillTooLarge) = tens.addingReportingOverflow(UInt64(digit - 0x30))
            guard !isTooLarge, !isStillTooLarge else { return nil }
            number = sum
        }
        return number
    }

    package init(_ receipt: Receipt) { self.init(milliseconds: receipt.group, number: receipt.number) }

    package var receipt: Receipt { Receipt(group: milliseconds, number: number) }
    package var description: String { "\(milliseconds)-\(number)" }

    package static func < (left: StreamID, right: StreamID) -> Bool {
        (left.milliseconds, left.number) < (right.milliseconds, right.number)
    }
}

/// One entry as XREADGROUP and XAUTOCLAIM hand it over.
package struct StreamEntry: Equatable, Sendable {
    package var id: StreamID
    /// nil: the entry was deleted while it was pending.
    package var fields: [(name: [UInt8], value: [UInt8])]?

    package static func == (left: StreamEntry, right: StreamEntry) -> Bool {
        left.id == right.id && left.fields?.map(\.name) == right.fields?.map(\.name)
            && left.fields?.map(\.value) == right.fields?.map(\.value)
    }

    /// `[id, [name, value, …]]`; nil where it is something else.
    package init?(_ value: RESPValue) {
        guard let pair = value.array, pair.count == 2, let id = pair[0].bytes.flatMap({ StreamID($0) }) else {
            return nil
        }
        self.id = id
        guard let words = pair[1].array else { return }
        fields = stride(from: 0, to: words.count - 1, by: 2).compactMap { place in
            guard let name = words[place].bytes, let value = words[place + 1].bytes else { return nil }
            return (name, value)
        }
    }

    /// The entries of one stream in the reply to XREADGROUP: a map in RESP3, an array of pairs in RESP2, null where
    /// there is nothing.
    package static func entries(reply: RESPValue) -> [StreamEntry] {
        guard let outer = reply.array, let first = outer.first else { return [] }
        let entries = outer.count == 2 && first.array == nil ? outer[1] : first.array?.dropFirst().first
        return entries?.array?.compactMap { StreamEntry($0) } ?? []
    }

    /// The job in it: the field of that name, or the only one.
    package func body(field: String) -> [UInt8]? {
        guard let fields else { return nil }
        return fields.first { $0.name.elementsEqual(field.utf8) }?.value ?? (fields.count == 1 ? fields[0].value : nil)
    }
}
