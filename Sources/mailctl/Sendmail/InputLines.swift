// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Standard input, line by line.
struct InputLines {
    private let descriptor: Int32
    private var bytes: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Without its end; nil at the end of the input.
    mutating func line() throws(Failure) -> String? {
        guard let line = try next() else { return nil }
        return String(decoding: line.filter { $0 != 0x0A && $0 != 0x0D }, as: UTF8.self)
    }

    /// All that comes, with its line ends, or up to a line with a single dot, which is left out.
    /// - Parameter unstuffs: RFC 5321 §4.5.2: a dot at the begin of a line was put there by the sender.
    mutating func message(endsAtDot: Bool, unstuffs: Bool) throws(Failure) -> [UInt8] {
        var message: [UInt8] = []
        while let line = try next() {
            let isDot = line.first == UInt8(ascii: ".")
            if endsAtDot, isDot, line.dropFirst().allSatisfy({ $0 == 0x0D || $0 == 0x0A }) { break }
            message += isDot && unstuffs ? line.dropFirst() : line
            guard message.count <= Limits.lineBytesMax else {
                throw Failure(.badData, "the message is larger than \(Measure.text(bytes: Limits.lineBytesMax))")
            }
        }
        return message
    }

    private mutating func next() throws(Failure) -> ArraySlice<UInt8>? {
        var searched = start
        while true {
            if let end = bytes[searched...].firstIndex(of: 0x0A) {
                defer { start = end + 1 }
                return bytes[start...end]
            }
            searched = bytes.count
            guard !isAtEnd else {
                defer { start = bytes.count }
                return start < bytes.count ? bytes[start...] : nil
            }
            try read(&searched)
        }
    }

    /// What has been given out is dropped, so that memory holds one message and not all.
    private mutating func read(_ searched: inout Int) throws(Failure) {
        if start > Descriptor.pieceBytes {
            bytes.removeFirst(start)
            searched -= start
            start = 0
        }
        guard bytes.count - start <= Limits.lineBytesMax else { throw Failure(.badData, "a line without end") }
        switch Descriptor.readPiece(descriptor, into: &bytes) {
        case .bytes: return
        case .end: isAtEnd = true
        case .failed(let code): throw .system(.inputOutput, "standard input", code)
        }
    }
}
