// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// What a field's text holds, found in one pass.
struct HeaderText {
    private(set) var hasNonASCII = false
    private(set) var hasLineBreak = false
    private(set) var hasControl = false
    /// `=?`, which a reader would take for the start of an encoded word.
    private(set) var looksEncoded = false
    private(set) var hasEdgeBlank = false
    let count: Int

    init(_ text: String) {
        var text = text
        self = text.withUTF8 { HeaderText($0) }
    }

    private init(_ bytes: UnsafeBufferPointer<UInt8>) {
        count = bytes.count
        var previous: UInt8 = 0
        for byte in bytes {
            if byte >= 0x80 { hasNonASCII = true }
            if byte < 0x20 || byte == 0x7F {
                if byte == 0x0A || byte == 0x0D { hasLineBreak = true } else if byte != 0x09 { hasControl = true }
            }
            if byte == 0x3F, previous == 0x3D { looksEncoded = true }
            previous = byte
        }
        if let first = bytes.first { hasEdgeBlank = Self.isBlank(first) || Self.isBlank(previous) }
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// RFC 5322 §2.2: a field body holds no CR or LF of its own. A value that has one could add fields to the header.
    func check(_ field: @autoclosure () -> String) throws(ComposeError) {
        guard !hasLineBreak else { throw ComposeError(field: field(), reason: "has a line break") }
        guard !hasControl else { throw ComposeError(field: field(), reason: "has a control character") }
    }
}

extension MessageWriter {
    /// Subject: any text, shown to the reader exactly so.
    mutating func appendSubject(_ text: String) throws(ComposeError) {
        let traits = HeaderText(text)
        try traits.check("subject")
        append("Subject:")
        let isPlain = !traits.hasNonASCII && !traits.looksEncoded && !traits.hasEdgeBlank
        if isPlain && column + 1 + traits.count <= Limits.mailLineBytesWanted {
            if traits.count > 0 { append(0x20) }
            append(text)
        } else {
            appendWords(HeaderWords(Array(text.utf8), encodes: .whereNeededToShow))
        }
        endLine()
    }

    /// A field of the app's own. Its words go as given, for the field may be structured: the line is broken at blanks
    /// alone, so that no URL or message id is ever broken (RFC 2369 §2), and only words beyond ASCII are encoded.
    mutating func appendCustomField(_ name: String, _ value: String) throws(ComposeError) {
        let traits = HeaderText(value)
        try traits.check("headers.\(name)")
        let words = HeaderWords(Array(value.utf8), encodes: .beyondASCII)
        // RFC 5322 §2.1.1: never over 998 octets in a line.
        guard words.longestPlain <= HeaderWords.wordOctetsMax else {
            throw ComposeError(
                field: "headers.\(name)",
                reason: "has more than \(HeaderWords.wordOctetsMax) octets where no line can be broken")
        }
        append(name)
        append(0x3A)
        appendWords(words)
        endLine()
    }

    /// RFC 5322 §2.2.3: folded before blanks, at 78 octets where that can be, but not right after the colon: some
    /// readers take that fold for a blank of the text.
    mutating func appendWords(_ words: HeaderWords) {
        for (index, word) in words.list.enumerated() {
            let blanks = index == 0 ? words.bytes[..<0] : words.bytes[word.blanks]
            let content = words.bytes[word.content]
            if word.isEncoded {
                foldForEncodedWord(blanks: max(blanks.count, 1))
            } else if index > 0 {
                foldIfNeeded(for: blanks.count + content.count)
            }
            if index == 0 { append(0x20) } else { append(blanks) }
            if word.isEncoded { appendEncodedWords(content) } else { append(content) }
        }
    }
}
