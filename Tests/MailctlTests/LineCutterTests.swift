// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Testing
import mailctl

@Suite struct LineCutterTests {
    /// Feeds `pieces` one by one, cutting after each; then the end.
    private func cut(_ pieces: [String]) -> (output: String, lines: [LineCutter.Line], cutter: LineCutter) {
        var cutter = LineCutter()
        var output: [UInt8] = []
        var lines: [LineCutter.Line] = []
        for piece in pieces {
            cutter.feed(piece.utf8)
            while cutter.cut(to: &output, &lines) {}
        }
        cutter.end()
        while cutter.cut(to: &output, &lines) {}
        return (String(decoding: output, as: UTF8.self), lines, cutter)
    }

    @Test("lines keep their numbers and know where they end in all that is sent")
    func numbers() {
        let (output, lines, cutter) = cut(["{1}\n{22}\n"])
        #expect(output == "{1}\n{22}\n")
        #expect(lines.map(\.number) == [1, 2])
        #expect(lines.map(\.end) == [4, 9])
        #expect(cutter.isEmpty)
    }

    @Test(
        "wherever the input is cut, the lines are the same",
        arguments: [
            ["{1}\n\n \t\r\n  {2}\r\n{3}"], ["{", "1}", "\n", "\n ", "\t\r", "\n  {2", "}\r\n{3}", ""],
            "{1}\n\n \t\r\n  {2}\r\n{3}".unicodeScalars.map { String($0) },
        ])
    func pieces(pieces: [String]) {
        let (output, lines, cutter) = cut(pieces)
        #expect(output == "{1}\n{2}\r\n{3}\n")
        #expect(lines.map(\.number) == [1, 4, 5])
        #expect(lines.map(\.end) == [4, 9, 13])
        #expect(cutter.isEmpty)
    }

    @Test("blank input has no lines", arguments: [[], [""], ["\n\n"], [" \t", "\r"], ["  \n "]])
    func blank(pieces: [String]) {
        let (output, lines, cutter) = cut(pieces)
        #expect(output.isEmpty)
        #expect(lines.isEmpty)
        #expect(cutter.isEmpty)
    }

    @Test("an unfinished line is held back until it is whole")
    func held() {
        var cutter = LineCutter()
        var output: [UInt8] = []
        var lines: [LineCutter.Line] = []
        cutter.feed("{\"to\"".utf8)
        #expect(!cutter.cut(to: &output, &lines))
        #expect(output.isEmpty)
        #expect(lines.isEmpty)
        #expect(!cutter.isEmpty)
    }

    @Test("a line too long to hold goes out in pieces and has its end only with its newline")
    func long() {
        var cutter = LineCutter()
        var output: [UInt8] = []
        var lines: [LineCutter.Line] = []
        let piece = [UInt8](repeating: 0x78, count: LineCutter.heldBytesMax)
        cutter.feed("{}\n".utf8)
        cutter.feed(piece)
        while cutter.cut(to: &output, &lines) {}
        #expect(output.count == 3 + piece.count)
        #expect(lines.map(\.end) == [3, nil])
        // White space inside a long line is part of it, even at the start of a piece.
        cutter.feed("  y\n{}\n".utf8)
        while cutter.cut(to: &output, &lines) {}
        #expect(output.count == 3 + piece.count + 4 + 3)
        #expect(lines.map(\.number) == [1, 2, 3])
        #expect(lines.map(\.end) == [3, piece.count + 7, piece.count + 10])
    }
}
