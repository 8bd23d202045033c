// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// A message whose bytes are no UTF-8, say of Latin-1, made ASCII by what MIME has for it: bodies as quoted-printable
/// (RFC 2045 §6.7) with the character set that they declare, so that nothing is guessed and nothing is lost.
///
/// The submission line is JSON, which holds text alone; UTF-8 messages go as they are.
package enum SevenBit {
    package static func message(_ text: [UInt8]) -> [UInt8] {
        guard !isASCII(text) else { return text }
        return entity(LocalMessage(text), isWhole: true)
    }

    /// Deeper, parts are encoded as they stand.
    private static let depthMax = 30

    private static func entity(_ message: LocalMessage, isWhole: Bool, depth: Int = 0) -> [UInt8] {
        var fields = message.fields.map { LocalMessage.Field($0.name, headerValue($0.value)) }
        var body = message.body
        if !isASCII(body) {
            let type = ContentTypeField(value("content-type", of: fields))
            let old = value("content-transfer-encoding", of: fields).map(Aliases.trimmed)?.lowercased() ?? ""
            if type.isMultipart, !type.boundary.isEmpty, depth < depthMax {
                body = multipart(body, boundary: type.boundary, depth: depth)
                set("Content-Transfer-Encoding", "7bit", in: &fields)
            } else if type.isMessage, depth < depthMax {
                body = entity(LocalMessage(body), isWhole: false, depth: depth + 1)
                set("Content-Transfer-Encoding", "7bit", in: &fields)
            } else if old == "base64" || old == "quoted-printable" {
                // It says that it is encoded, and is not: what does not belong there goes.
                body = body.map { $0 < 0x80 ? $0 : UInt8(ascii: "?") }
            } else {
                body = quotedPrintable(body)
                set("Content-Transfer-Encoding", "quoted-printable", in: &fields)
                if type.isMissing { set("Content-Type", "text/plain; charset=unknown-8bit", in: &fields) }
            }
            if isWhole, value("mime-version", of: fields) == nil { set("MIME-Version", "1.0", in: &fields) }
        }
        var result: [UInt8] = []
        for field in fields { result += Array(field.name.utf8) + [UInt8(ascii: ":")] + field.value + [0x0A] }
        return result + [0x0A] + body
    }

    private static func multipart(_ body: [UInt8], boundary: String, depth: Int) -> [UInt8] {
        let delimiter = Array("--\(boundary)".utf8)
        var result: [UInt8] = []
        var part: [UInt8] = []
        var isInPart = false
        for line in lines(body) {
            guard line.starts(with: delimiter) else {
                part += line
                continue
            }
            result += isInPart ? entity(LocalMessage(part), isWhole: false, depth: depth + 1) : ascii(part)
            // RFC 2046 §5.1.1: the last one has two more hyphens, and an epilogue after it.
            isInPart = !line.dropFirst(delimiter.count).starts(with: "--".utf8)
            result += line
            part = []
        }
        return result + ascii(part)
    }

    private static func ascii(_ bytes: [UInt8]) -> [UInt8] { bytes.map { $0 < 0x80 ? $0 : UInt8(ascii: "?") } }

    private static func isASCII(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 < 0x80 } }

    private static func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var start = 0
        while start < bytes.count {
            let end = (bytes[start...].firstIndex(of: 0x0A) ?? bytes.count - 1) + 1
            lines.append(bytes[start..<end])
            start = end
        }
        return lines
    }

    // MARK: Fields

    private static func value(_ name: String, of fields: [LocalMessage.Field]) -> String? {
        fields.first { $0.isNamed(name) }.map { String(decoding: $0.value, as: UTF8.self) }
    }

    private static func set(_ name: String, _ value: String, in fields: inout [LocalMessage.Field]) {
        fields.removeAll { $0.isNamed(name.lowercased()) }
        fields.append(LocalMessage.Field(name, Array(" \(value)".utf8)))
    }

    /// Words with bytes beyond ASCII become encoded words of a character set that nobody knows (RFC 1428 §3).
    private static func headerValue(_ value: [UInt8]) -> [UInt8] {
        guard !isASCII(value) else { return value }
        var result: [UInt8] = []
        var word: [UInt8] = []
        for byte in value + [0x20] {
            if byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D {
                result += isASCII(word) ? word : encodedWord(word)
                word = []
                result.append(byte)
            } else {
                word.append(byte)
            }
        }
        return Array(result.dropLast())
    }

    private static func encodedWord(_ word: [UInt8]) -> [UInt8] {
        var result = Array("=?unknown-8bit?Q?".utf8)
        for byte in word {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                result.append(byte)
            default: result += hexadecimal(byte)
            }
        }
        return result + Array("?=".utf8)
    }

    // MARK: Quoted-printable

    private static func quotedPrintable(_ body: [UInt8]) -> [UInt8] {
        lines(body).flatMap { line in
            let end = line.last == 0x0A ? line.dropLast() : line
            let text = end.last == 0x0D ? end.dropLast() : end
            return quotedLine(text) + (line.last == 0x0A ? [0x0A] : [])
        }
    }

    /// RFC 2045 §6.7: at most 76 characters, soft line ends between; no blank at the end of a line.
    private static func quotedLine(_ line: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var column = 0
        for (offset, byte) in line.enumerated() {
            let isLast = offset == line.count - 1
            let isBlank = byte == 0x20 || byte == 0x09
            let isPlain = byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "=")
            let piece = isPlain || (isBlank && !isLast) ? [byte] : hexadecimal(byte)
            if column + piece.count > 75 {
                result += [UInt8(ascii: "="), 0x0A]
                column = 0
            }
            result += piece
            column += piece.count
        }
        return result
    }

    private static func hexadecimal(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return [UInt8(ascii: "="), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
}

/// What of a Content-Type field decides how its body is encoded (RFC 2045 §5.1).
private struct ContentTypeField {
    let isMissing: Bool
    private let kind: String
    let boundary: String

    init(_ value: String?) {
        isMissing = value == nil
        let text = value ?? ""
        kind = Aliases.trimmed(text.split(separator: ";").first.map(String.init) ?? "").lowercased()
        boundary = Self.parameter("boundary", of: text)
    }

    var isMultipart: Bool { kind.hasPrefix("multipart/") }
    var isMessage: Bool { kind == "message/rfc822" }

    private static func parameter(_ name: String, of text: String) -> String {
        for part in text.split(separator: ";").dropFirst() {
            let sides = part.split(separator: "=", maxSplits: 1).map { Aliases.trimmed($0) }
            guard sides.count == 2, sides[0].lowercased() == name else { continue }
            let value = sides[1]
            return value.hasPrefix("\"") ? String(value.dropFirst().prefix { $0 != "\"" }) : value
        }
        return ""
    }
}
