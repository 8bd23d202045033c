// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Where the lines come from: what has been read already, and what is still to be read.
struct SubmissionInput {
    var first: [UInt8]
    /// Read from after `first`; nil where `first` is all.
    var descriptor: Int32?
    /// For messages: `standard input`, or the file's path.
    let name: String
    /// One job only: messages need no line number, and there is nothing to sum up.
    let isSingle: Bool
    /// Descriptors that go with the line, of a single job alone.
    var files: [Int32] = []

    static func job(_ job: JSONValue, _ files: [Int32] = []) -> SubmissionInput {
        SubmissionInput(
            first: Array(job.text.utf8), descriptor: nil, name: "the options", isSingle: true, files: files)
    }

    static func standardInput() throws(Failure) -> SubmissionInput {
        try opened(STDIN_FILENO, "standard input")
    }

    static func file(_ path: String) throws(Failure) -> SubmissionInput {
        try opened(Descriptor.opened(reading: path), Printable.text(path))
    }

    /// Looks at the first line: `{` at its begin and no `}` at its end is an object printed over many lines.
    private static func opened(_ descriptor: Int32, _ name: String) throws(Failure) -> SubmissionInput {
        var start: [UInt8] = []
        while true {
            if let line = firstLine(of: start) {
                guard line.first == UInt8(ascii: "{"), line.last != UInt8(ascii: "}") else { break }
                return try manyLines(start, descriptor, name)
            }
            guard start.count <= Limits.lineBytesMax else { break }
            switch Descriptor.readPiece(descriptor, into: &start) {
            case .bytes: continue
            case .end: return SubmissionInput(first: start, descriptor: nil, name: name, isSingle: false)
            case .failed(let code): throw .system(code == EISDIR ? .noInput : .inputOutput, name, code)
            }
        }
        return SubmissionInput(first: start, descriptor: descriptor, name: name, isSingle: false)
    }

    /// The first line that is not blank, without white space around it; nil where it is not whole.
    private static func firstLine(of start: [UInt8]) -> ArraySlice<UInt8>? {
        guard let begin = start.firstIndex(where: { !isSpace($0) }),
            let end = start[begin...].firstIndex(of: 0x0A),
            let last = start[begin..<end].lastIndex(where: { !isSpace($0) })
        else { return nil }
        return start[begin...last]
    }

    private static func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }

    /// Either one object, or lines of which the first is broken: these go to maild as they are.
    private static func manyLines(
        _ start: [UInt8], _ descriptor: Int32, _ name: String
    ) throws(Failure) -> SubmissionInput {
        let rest = try Descriptor.readAll(descriptor, name, atMost: Limits.lineBytesMax)
        guard let rest else { throw Failure(.badData, "\(name): the first line is not a whole JSON object") }
        let all = start + rest
        do throws(JSONError) {
            _ = try JSONValue(parsing: all)
        } catch {
            guard isSecondLineAnObject(all) else { throw notOneObject(error, in: all, name) }
            return SubmissionInput(first: all, descriptor: nil, name: name, isSingle: false)
        }
        // Inside a JSON string no line can end: those between tokens are white space.
        let line = all.map { $0 == 0x0A ? 0x20 : $0 }
        return SubmissionInput(first: line, descriptor: nil, name: name, isSingle: true)
    }

    private static func isSecondLineAnObject(_ bytes: [UInt8]) -> Bool {
        guard let first = firstLine(of: bytes) else { return false }
        let rest = bytes[first.endIndex...].drop { isSpace($0) }
        return rest.first == UInt8(ascii: "{")
    }

    private static func notOneObject(_ error: JSONError, in bytes: [UInt8], _ name: String) -> Failure {
        let line = bytes.prefix(error.offset).reduce(1) { $1 == 0x0A ? $0 + 1 : $0 }
        return Failure(
            .badData,
            "\(name): neither one JSON object nor one a line: line \(line): \(Printable.text(error.reason))")
    }
}
