// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// An unstructured text taken apart at its blanks (RFC 5322 §2.2.1), neighbours that are encoded taken together.
struct HeaderWords {
    enum Encoding {
        /// Also words too long for a line, and what only looks encoded (RFC 2047 §6.3): the reader sees them as given.
        case whereNeededToShow
        case beyondASCII
    }

    struct Word {
        /// What stands before the word.
        var blanks: Range<Int>
        var content: Range<Int>
        var isEncoded: Bool
    }

    /// With a field's name before it or an encoded word after it, such a word still fits into the 998 octets of a line.
    static let wordOctetsMax = 900

    /// `Reply-To: `, the longest name of ours, and such a word are 78 octets.
    static let firstWordMax = 68

    let bytes: [UInt8]
    private(set) var list: [Word] = []

    init(_ bytes: [UInt8], encodes encoding: Encoding) {
        self.bytes = bytes
        var index = 0
        while index < bytes.count {
            let start = index
            while index < bytes.count, HeaderText.isBlank(bytes[index]) { index += 1 }
            let blanks = start..<index
            while index < bytes.count, !HeaderText.isBlank(bytes[index]) { index += 1 }
            let content = blanks.upperBound..<index
            if encoding == .whereNeededToShow, wouldLoseBlanks(blanks) {
                list = [Word(blanks: 0..<0, content: 0..<bytes.count, isEncoded: true)]
                return
            }
            guard !content.isEmpty else { break }
            add(Word(blanks: blanks, content: content, isEncoded: needsEncoding(content, encoding)))
        }
    }

    /// RFC 5322 §3.2.2: blanks at either end, or more than a line should hold, do not survive folding and unfolding.
    private func wouldLoseBlanks(_ blanks: Range<Int>) -> Bool {
        guard !blanks.isEmpty else { return false }
        return blanks.lowerBound == 0 || blanks.upperBound == bytes.count || blanks.count > 20
    }

    /// Octets of the longest word that is not encoded, with its blanks.
    var longestPlain: Int {
        list.reduce(0) { $1.isEncoded ? max($0, $1.blanks.count) : max($0, $1.blanks.count + $1.content.count) }
    }

    private mutating func add(_ word: Word) {
        // RFC 2047 §6.2: the blanks between encoded words are not shown, so those of the text go inside.
        if word.isEncoded, let last = list.indices.last, list[last].isEncoded {
            list[last].content = list[last].content.lowerBound..<word.content.upperBound
        } else {
            list.append(word)
        }
    }

    private func needsEncoding(_ content: Range<Int>, _ encoding: Encoding) -> Bool {
        let word = bytes[content]
        if word.contains(where: { $0 >= 0x80 }) { return true }
        guard encoding == .whereNeededToShow else { return false }
        let looksEncoded = zip(word, word.dropFirst()).contains { $0 == 0x3D && $1 == 0x3F }
        // The first word shares its line with the field's name.
        let room = content.lowerBound == 0 ? Self.firstWordMax : Limits.mailLineBytesWanted - 2
        return looksEncoded || content.count > room
    }
}
