// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What of a mail comes back with a report: its header, or all of it.
struct ReturnedContent {
    let bytes: [UInt8]
    /// The mail's own, where it is one that may stand in a field.
    let messageID: String?
    private let isWhole: Bool

    init(_ report: DeliveryReport) {
        let message = report.message
        isWhole = report.returnsAll && Self.mayReturn(message)
        let header = message.prefix(Self.headerEnd(message))
        bytes = isWhole ? message : Array(header.prefix(Self.cut(header)))
        messageID = Self.messageID(header)
    }

    /// RFC 2046 §5.2.1: a message within a message is not encoded. So that the report needs no 8BITMIME, only one of
    /// 7bit comes back whole, and none that is large.
    private static func mayReturn(_ message: [UInt8]) -> Bool {
        message.count <= Limits.returnedMessageBytesMax && isSevenBit(message)
    }

    private static func isSevenBit(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { bytes in
            bytes.allSatisfy { $0 < 0x80 } && !bytes.holds(0) && !bytes.hasLongLine
        }
    }

    /// Behind the last field's line end.
    private static func headerEnd(_ message: [UInt8]) -> Int {
        var start = 0
        while start < message.count {
            let end = message[start...].firstIndex(of: 0x0A).map { $0 + 1 } ?? message.count
            if end - start <= 2, message[start] == 0x0D || message[start] == 0x0A { return start }
            start = end
        }
        return message.count
    }

    /// A header that is larger than any honest one comes back in part, in whole lines.
    private static func cut(_ header: ArraySlice<UInt8>) -> Int {
        guard header.count > Limits.returnedHeaderBytesMax else { return header.count }
        return (header.prefix(Limits.returnedHeaderBytesMax).lastIndex(of: 0x0A) ?? -1) + 1
    }

    private static func messageID(_ header: ArraySlice<UInt8>) -> String? {
        let name = Array("message-id:".utf8)
        for line in header.split(separator: 0x0A) where line.count > name.count {
            guard zip(line, name).allSatisfy({ ($0 | 0x20) == $1 }) else { continue }
            let value = line.dropFirst(name.count).filter { $0 != 0x0D && $0 != 0x20 && $0 != 0x09 }
            let id = String(decoding: value, as: UTF8.self)
            return HeaderRules.isMessageID(id) ? id : nil
        }
        return nil
    }

    /// The part with its fields, without a CRLF after it.
    func append(to writer: inout MessageWriter) {
        if isWhole {
            writer.append("Content-Type: message/rfc822\r\n\r\n")
            return writer.append(bytes)
        }
        // RFC 6522 §4; RFC 6533 §4 for a header beyond ASCII, which may be encoded.
        let isASCII = bytes.allSatisfy { $0 < 0x80 }
        writer.append(isASCII ? "Content-Type: text/rfc822-headers\r\n" : "Content-Type: message/global-headers\r\n")
        let isPlain = Self.isSevenBit(bytes)
        writer.appendTransferEncoding(isPlain ? .sevenBit : .base64)
        writer.endLine()
        if isPlain { writer.append(bytes) } else { writer.appendBase64(bytes) }
    }
}
