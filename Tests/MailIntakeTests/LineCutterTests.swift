// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailIntake
import NIOCore
import Testing

@Suite("Cutting a stream into lines")
struct LineCutterTests {
    private static let stream = "one\n\ntwo is longer\nthis line is too long by far\nthree\r\n0123456789012345\nlast"
    private static let lines = ["one", "", "two is longer", "TOO LONG", "three\r", "0123456789012345", "last"]

    /// Lines in their order, with TOO LONG in the place of one that is; `parts` come one by one.
    private func cut(_ parts: [Substring], bytesMax: Int = 16, takesRarely: Bool = false) -> [String] {
        var cutter = LineCutter(bytesMax: bytesMax)
        var lines: [String] = []
        func note(_ taken: (bytes: ByteBuffer, pieces: [LineCutter.Piece])?) {
            guard let (bytes, pieces) = taken else { return }
            for piece in pieces {
                switch piece {
                case .tooLong: lines.append("TOO LONG")
                case .line(let range):
                    lines.append(bytes.getString(at: bytes.readerIndex + range.lowerBound, length: range.count) ?? "?")
                }
            }
        }
        for (number, part) in parts.enumerated() {
            cutter.append(ByteBuffer(substring: part))
            if !takesRarely || number % 3 == 0 { note(cutter.take()) }
        }
        note(cutter.take())
        note(cutter.takeLast())
        return lines
    }

    @Test("every cut of the stream in two gives the same lines")
    func everyCut() {
        for count in 0...Self.stream.utf8.count {
            let at = Self.stream.utf8.index(Self.stream.startIndex, offsetBy: count)
            #expect(cut([Self.stream[..<at], Self.stream[at...]]) == Self.lines, "cut at \(count)")
        }
    }

    @Test("byte by byte gives the same lines")
    func byteByByte() {
        let bytes = Self.stream.indices.map { Self.stream[$0...$0] }
        #expect(cut(bytes) == Self.lines)
        #expect(cut(bytes, takesRarely: true) == Self.lines)
    }

    @Test("so do parts of any length", arguments: 1...50)
    func anyParts(seed: Int) {
        var random = Seeded(seed)
        let text = String(repeating: Self.stream + "\n", count: 5)
        var parts: [Substring] = []
        var rest = text[...]
        while !rest.isEmpty {
            let part = rest.prefix(Int.random(in: 1...40, using: &random))
            parts.append(part)
            rest = rest.dropFirst(part.count)
        }
        #expect(cut(parts) == Array(repeating: Self.lines, count: 5).flatMap { $0 })
    }

    @Test("a line of just the limit is one, and of a byte more is not", arguments: [(16, "x"), (17, "TOO LONG")])
    func limit(count: Int, result: String) {
        let line = String(repeating: "x", count: count)
        let expected = result == "x" ? line : result
        #expect(cut([line + "\n"]) == [expected])
        #expect(cut([Substring(line)]) == [expected])
    }

    @Test("a line that is too long is told once, as soon as it is known, and is not kept")
    func tooLong() throws {
        var cutter = LineCutter(bytesMax: 4)
        cutter.append(ByteBuffer(string: "12345"))
        #expect(cutter.take()?.pieces == [.tooLong])
        #expect(cutter.heldBytes == 0 && cutter.isMidLine)
        for _ in 0..<3 {
            cutter.append(ByteBuffer(string: "67890"))
            #expect(cutter.take() == nil)
            #expect(cutter.heldBytes == 0)
        }
        #expect(cutter.takeLast() == nil)
        cutter.append(ByteBuffer(string: "\nok\n"))
        let taken = cutter.take()
        let (bytes, pieces) = try #require(taken)
        #expect(pieces == [.line(1..<3)])
        #expect(String(buffer: bytes) == "\nok\n")
        #expect(!cutter.isMidLine)
    }

    @Test("what follows the last newline is in the middle of a line; each newline counts")
    func midLine() {
        var cutter = LineCutter(bytesMax: 100)
        #expect(!cutter.isMidLine)
        cutter.append(ByteBuffer(string: "a\nb"))
        #expect(cutter.take()?.pieces == [.line(0..<1)])
        #expect(cutter.isMidLine && cutter.serial == 1 && cutter.heldBytes == 1)
        #expect(cutter.take() == nil)
        cutter.append(ByteBuffer(string: "\n"))
        #expect(cutter.take()?.pieces == [.line(0..<1)])
        #expect(!cutter.isMidLine && cutter.serial == 2)
        #expect(cutter.takeLast() == nil)
    }
}

extension Optional where Wrapped == (bytes: ByteBuffer, pieces: [LineCutter.Piece]) {
    static func == (left: Self, right: _OptionalNilComparisonType) -> Bool {
        if case .none = left { true } else { false }
    }
}
