// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

extension MessageComposer {
    /// A finished message as the app gave it, but for line ends that are not CRLF, a missing Date or Message-ID (put
    /// first), and Bcc fields (dropped). One that needs none of this comes back as the same array.
    package static func pass(
        raw: [UInt8], date: WallTime, messageID: String
    ) throws(ComposeError) -> ComposedMessage {
        let survey = raw.withUnsafeBytes { RawSurvey($0) }
        guard let header = survey.header else {
            throw ComposeError(field: "raw", reason: survey.fault)
        }
        let needs8Bit = raw[header.end...].contains { $0 >= 0x80 }
        if survey.isClean, header.hasDate, header.hasMessageID, header.blind.isEmpty {
            return ComposedMessage(bytes: raw, needs8BitMIME: needs8Bit, needsSMTPUTF8: header.hasNonASCII)
        }
        var writer = MessageWriter(capacity: raw.count + raw.count / 16 + 256)
        if !header.hasDate { writer.appendDate(date) }
        if !header.hasMessageID { try writer.appendMessageID(messageID) }
        var start = 0
        // RFC 5322 §3.6.3: Bcc is taken out before a message is sent.
        for field in header.blind {
            writer.appendLines(raw[start..<field.lowerBound])
            start = field.upperBound
        }
        writer.appendLines(raw[start...])
        if !writer.endsInLineEnd { writer.endLine() }
        return ComposedMessage(bytes: writer.bytes, needs8BitMIME: needs8Bit, needsSMTPUTF8: header.hasNonASCII)
    }
}

extension MessageWriter {
    fileprivate mutating func appendLines(_ bytes: ArraySlice<UInt8>) { appendLines(Array(bytes), hasCR: true) }
}

/// What a raw message has and lacks.
struct RawSurvey {
    struct Header {
        var hasDate = false
        var hasMessageID = false
        /// RFC 6531 §3.1
        var hasNonASCII = false
        /// Bcc fields with their folded lines.
        var blind: [Range<Int>] = []
        /// Where the empty line begins, or the end of the message.
        var end = 0
    }

    private(set) var header: Header?
    private(set) var fault = "is empty"
    /// All lines end in CRLF, the last one too.
    let isClean: Bool

    init(_ bytes: UnsafeRawBufferPointer) {
        isClean = Self.isClean(bytes)
        guard !bytes.isEmpty else { return }
        guard Self.fieldName(bytes, 0..<(bytes.lineEnd(from: 0) ?? bytes.count)) != nil else {
            fault = "does not begin with a header field"
            return
        }
        header = Self.header(bytes)
    }

    /// RFC 5322 §2.3: CR and LF only together.
    private static func isClean(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= 2, bytes[bytes.count - 1] == 0x0A else { return false }
        var index = 0
        while let end = bytes.firstOffset(of: 0x0A, from: index) {
            guard end > 0, bytes[end - 1] == 0x0D else { return false }
            index = end + 1
        }
        index = 0
        while let end = bytes.firstOffset(of: 0x0D, from: index) {
            guard end + 1 < bytes.count, bytes[end + 1] == 0x0A else { return false }
            index = end + 1
        }
        return true
    }

    private static func header(_ bytes: UnsafeRawBufferPointer) -> Header {
        var header = Header()
        var start = 0
        var isBlind = false
        while start < bytes.count {
            let end = bytes.lineEnd(from: start) ?? bytes.count
            if end == start { break }
            let next = end < bytes.count ? bytes.afterLineEnd(at: end) : end
            // RFC 5322 §2.2.3: a line that begins with a blank belongs to the field before it.
            if !HeaderText.isBlank(bytes[start]) {
                isBlind = header.note(fieldName(bytes, start..<end))
                if isBlind { header.blind.append(start..<start) }
            }
            if isBlind, let last = header.blind.indices.last {
                header.blind[last] = header.blind[last].lowerBound..<next
            } else if bytes[start..<end].contains(where: { $0 >= 0x80 }) {
                header.hasNonASCII = true
            }
            start = next
        }
        header.end = start
        return header
    }

    /// RFC 5322 §3.6.8 in lower case; §4.5 lets blanks stand before the colon.
    private static func fieldName(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) -> String? {
        guard let colon = bytes[line].firstIndex(of: 0x3A) else { return nil }
        var name = bytes[line.lowerBound..<colon]
        while let last = name.last, HeaderText.isBlank(last) { name = name.dropLast() }
        guard !name.isEmpty, name.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        return String(decoding: name, as: UTF8.self).lowercased()
    }
}

extension RawSurvey.Header {
    /// Whether the field names blind recipients.
    fileprivate mutating func note(_ name: String?) -> Bool {
        switch name {
        case "date": hasDate = true
        case "message-id": hasMessageID = true
        case "bcc", "resent-bcc": return true
        default: break
        }
        return false
    }
}
