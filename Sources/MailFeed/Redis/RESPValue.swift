// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// One value of Redis' protocol (RESP2 and RESP3), as far as commands of ours are answered with it.
package indirect enum RESPValue: Equatable, Sendable {
    case null
    case integer(Int64)
    case double(Double)
    case bool(Bool)
    /// A simple, bulk or verbatim string, or a big number.
    case string([UInt8])
    /// With its code in front: `NOGROUP No such key`.
    case error(String)
    /// An array, set or push message; a map as its keys and values in turn.
    case array([RESPValue])

    package var text: String? {
        if case .string(let bytes) = self { String(decoding: bytes, as: UTF8.self) } else { nil }
    }
    package var bytes: [UInt8]? { if case .string(let bytes) = self { bytes } else { nil } }
    package var array: [RESPValue]? { if case .array(let array) = self { array } else { nil } }
    package var int: Int? { if case .integer(let number) = self { Int(number) } else { nil } }

    /// The value that follows this key in a map.
    package subscript(key: String) -> RESPValue? {
        guard let array, let place = array.indices.first(where: { $0 % 2 == 0 && array[$0].text == key }),
            place + 1 < array.count
        else { return nil }
        return array[place + 1]
    }
}

/// A command as Redis takes it: an array of bulk strings.
package enum RESPCommand {
    package static func bytes(_ words: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(words.reduce(16) { $0 + $1.count + 16 })
        bytes += "*\(words.count)\r\n".utf8
        for word in words {
            bytes += "$\(word.count)\r\n".utf8
            bytes += word
            bytes += "\r\n".utf8
        }
        return bytes
    }

    package static func bytes(_ words: [String]) -> [UInt8] { bytes(words.map { Array($0.utf8) }) }
}
