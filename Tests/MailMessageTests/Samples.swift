// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage

/// Monday, 23 November 2026, 10:00:00 UTC.
let mondayMorning = WallTime(milliseconds: 1_795_428_000_000)
let sampleMessageID = "<0G2Q5X7J1C0A4@mail.example.org>"

extension MessageFields {
    /// The smallest message: a sender and a recipient, to be changed by the test.
    static func sample(_ change: (inout MessageFields) -> Void = { _ in }) -> MessageFields {
        var fields = MessageFields(
            from: "app@example.org", to: ["a@example.com"], date: mondayMorning, messageID: sampleMessageID)
        change(&fields)
        return fields
    }
}

/// A composed message as its lines, for tests that look at the octets themselves.
struct Lines {
    let bytes: [UInt8]
    let needsSMTPUTF8: Bool
    let needs8BitMIME: Bool
    /// Lines of the header as they stand there, folds included.
    let header: [String]
    /// All after the empty line.
    let body: String

    init(_ message: ComposedMessage) {
        bytes = message.bytes
        needsSMTPUTF8 = message.needsSMTPUTF8
        needs8BitMIME = message.needs8BitMIME
        var lines: [[UInt8]] = [[]]
        var index = 0
        while index < bytes.count, !Self.isEmptyLine(bytes, index, lines) {
            if bytes[index] == 0x0D, index + 1 < bytes.count, bytes[index + 1] == 0x0A {
                lines.append([])
                index += 2
            } else {
                lines[lines.count - 1].append(bytes[index])
                index += 1
            }
        }
        header = lines.filter { !$0.isEmpty }.map { String(decoding: $0, as: UTF8.self) }
        body = String(decoding: bytes.dropFirst(index + 2), as: UTF8.self)
    }

    init(_ fields: MessageFields) throws { self.init(try MessageComposer.compose(fields)) }

    private static func isEmptyLine(_ bytes: [UInt8], _ index: Int, _ lines: [[UInt8]]) -> Bool {
        lines.count > 1 && lines.last == [] && bytes[index] == 0x0D
    }

    /// The value of the first field of this name, unfolded as RFC 5322 §2.2.3 says; nil without such a field.
    func field(_ name: String) -> String? {
        guard let start = header.firstIndex(where: { $0.hasPrefix("\(name):") }) else { return nil }
        let folds = header[(start + 1)...].prefix { $0.hasPrefix(" ") || $0.hasPrefix("\t") }
        let value = header[start].dropFirst(name.count + 1) + folds.joined()
        return String(value.drop { $0 == " " })
    }

    func count(of name: String) -> Int {
        header.filter { $0.lowercased().hasPrefix("\(name.lowercased()):") }.count
    }

    /// Octets of all lines of the message; a CR or LF that stands alone counts as one of 9999.
    var lineLengths: [Int] {
        var lengths = [0]
        var previous: UInt8 = 0
        for byte in bytes {
            switch byte {
            case 0x0A: lengths[lengths.count - 1] += previous == 0x0D ? -1 : 9999
            default: lengths[lengths.count - 1] += previous == 0x0D ? 9999 : 1
            }
            if byte == 0x0A { lengths.append(0) }
            previous = byte
        }
        return lengths.dropLast() + (lengths.last == 0 ? [] : [9999])
    }
}

/// Why these fields make no message; nil where they do.
func refusal(_ fields: MessageFields) -> ComposeError? {
    do throws(ComposeError) {
        _ = try MessageComposer.compose(fields)
        return nil
    } catch {
        return error
    }
}
