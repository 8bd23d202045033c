// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Cuts input of any shape into the lines to submit, as many at a time as there is room for answers.
///
/// Blank lines are left out (maild does not answer them), and so is white space in front of a line; a last line
/// without a newline is given one. A line is held back until it is whole, so that slow input does not run into maild's
/// time limit for a line, and given a key where it is a job without one; only a line longer than `heldBytesMax` goes
/// out in pieces, as it is.
package struct LineCutter {
    package struct Line: Equatable, Sendable {
        /// Counted from 1, blank lines included.
        package let number: Int
        /// Where the line ends in all that was cut off so far; nil while its newline is still to come.
        package var end: Int?
        /// `JobKeys.Mark` has what these mean.
        package var mayRepeat = true
        package var waitsForOutcome = false

        package init(number: Int, end: Int?) {
            self.number = number
            self.end = end
        }
    }

    /// Longer than maild takes unless it is configured so.
    package static let heldBytesMax = Limits.lineBytesMax + (1 << 20)

    private var input: [UInt8] = []
    private var head = 0
    /// No newline in `input` before this place.
    private var searched = 0
    private var number = 1
    /// The beginning of the line at `head` has been handed out already.
    private var isInside = false
    private var isEnded = false
    /// Bytes handed out so far.
    private var total = 0

    private var keys: JobKeys?
    private let heldBytesMax: Int

    /// - Parameter keys: nil leaves each line as it is.
    package init(keys: JobKeys? = nil, heldBytesMax: Int = Self.heldBytesMax) {
        self.keys = keys
        self.heldBytesMax = heldBytesMax
    }

    package mutating func feed(_ bytes: some Collection<UInt8>) {
        if head > 0 {
            input.removeFirst(head)
            searched -= head
            head = 0
        }
        input.append(contentsOf: bytes)
    }

    /// Nothing more will be fed.
    package mutating func end() {
        guard !isEnded else { return }
        isEnded = true
        if isInside || head < input.count { input.append(0x0A) }
    }

    /// All that was fed has been cut off.
    package var isEmpty: Bool { head == input.count && !isInside }

    /// Appends the next line, or the next piece of a long one, to `output` and its place to `lines`; false where
    /// more input is needed first.
    package mutating func cut(to output: inout [UInt8], _ lines: inout [Line]) -> Bool {
        if !isInside { skipWhiteSpace() }
        guard let newline = nextNewline() else { return cutPiece(to: &output, &lines) }
        if isInside { handOut(through: newline, &output, &lines) } else { handOutWhole(newline, &output, &lines) }
        lines[lines.count - 1].end = total
        isInside = false
        number += 1
        return true
    }

    private mutating func cutPiece(to output: inout [UInt8], _ lines: inout [Line]) -> Bool {
        guard input.count - head >= heldBytesMax else { return false }
        if !isInside { begin(&lines, JobKeys.Mark(mayRepeat: false)) }
        handOut(through: input.count - 1, &output, &lines)
        isInside = true
        return true
    }

    private mutating func begin(_ lines: inout [Line], _ mark: JobKeys.Mark) {
        var line = Line(number: number, end: nil)
        line.mayRepeat = mark.mayRepeat
        line.waitsForOutcome = mark.waitsForOutcome
        lines.append(line)
    }

    private mutating func handOutWhole(_ newline: Int, _ output: inout [UInt8], _ lines: inout [Line]) {
        let mark = input.withUnsafeBytes { bytes in
            keys?.mark(UnsafeRawBufferPointer(rebasing: bytes[head..<newline]), number: number)
        }
        begin(&lines, mark ?? JobKeys.Mark(mayRepeat: false))
        if let insertion = mark?.insertion, !insertion.isEmpty {
            handOut(through: head, &output, &lines)
            output.append(contentsOf: insertion)
            total += insertion.count
        }
        handOut(through: newline, &output, &lines)
    }

    private mutating func handOut(through last: Int, _ output: inout [UInt8], _ lines: inout [Line]) {
        output.append(contentsOf: input[head...last])
        total += last + 1 - head
        head = last + 1
        searched = max(searched, head)
    }

    private mutating func skipWhiteSpace() {
        while head < input.count {
            switch input[head] {
            case 0x20, 0x09, 0x0D: break
            case 0x0A: number += 1
            default: return
            }
            head += 1
        }
    }

    private mutating func nextNewline() -> Int? {
        let from = max(head, searched)
        let found = input.withUnsafeBytes { bytes -> Int? in
            guard let base = bytes.baseAddress, from < bytes.count,
                let place = memchr(base + from, 0x0A, bytes.count - from)
            else { return nil }
            return UnsafeRawPointer(place) - base
        }
        searched = found ?? input.count
        return found
    }
}
