// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Lines to maild and answers back over one connection, both at once: `poll` decides what moves next, so that neither
/// side ever waits for the other to read.
struct Pipeline: ~Copyable {
    /// Input is read no further while so much waits to be sent.
    private static let backlogBytesMax = 256 << 10
    /// No answer comes near; longer is not maild's.
    private static let answerBytesMax = 1 << 20

    private let stream: UnixStream
    private var input: SubmissionInput
    private var cutter = LineCutter()
    private var backlog = Backlog()
    private var window = Window()
    private var answers = Framer.lines(bytesMax: Pipeline.answerBytesMax)
    private var report: SubmissionReport
    /// Reading the input failed; what was read before is finished first.
    private var inputFailure: Failure?
    private var canSend = true
    private var hasFinished = false
    private var isClosed = false

    init(_ stream: consuming UnixStream, _ input: SubmissionInput, _ report: SubmissionReport) {
        self.stream = stream
        self.input = input
        self.report = report
        cutter.feed(input.first)
        self.input.first = []
        if input.descriptor == nil { cutter.end() }
    }

    /// The exit status once every line has its answer.
    mutating func run() throws(Failure) -> Sysexit {
        while true {
            cutLines()
            if isDone || isClosed { break }
            try report.settle()
            try waitAndMove()
        }
        try report.finish()
        if !isDone { throw lost() }
        if let inputFailure { throw inputFailure }
        return report.status
    }

    private var isInputLeft: Bool { input.descriptor != nil || !cutter.isEmpty }
    private var isDone: Bool { !isInputLeft && window.isEmpty && backlog.isEmpty }

    private var wantsInput: Bool {
        input.descriptor != nil && canSend && !window.isFull && backlog.count < Self.backlogBytesMax
    }

    private mutating func cutLines() {
        while canSend, !window.isFull, backlog.count < Self.backlogBytesMax {
            guard cutter.cut(to: &backlog.bytes, &window.lines) else { break }
        }
        if canSend, !hasFinished, !isInputLeft, backlog.isEmpty {
            hasFinished = true
            stream.finishSending()
        }
    }

    private mutating func waitAndMove() throws(Failure) {
        let sending = canSend && !backlog.isEmpty ? POLLOUT : 0
        var interests = [
            pollfd(fd: stream.descriptor, events: Int16(POLLIN | sending), revents: 0),
            // A negative descriptor is passed over.
            pollfd(fd: wantsInput ? input.descriptor ?? -1 : -1, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&interests, 2, report.pollMilliseconds) > 0 else { return }
        if interests[0].revents & ~Int16(POLLOUT) != 0 { try receive() }
        if canSend, !backlog.isEmpty, interests[0].revents & Int16(POLLOUT) != 0 { try send() }
        if interests[1].revents != 0 { readInput() }
    }

    private mutating func readInput() {
        guard let descriptor = input.descriptor else { return }
        var piece: [UInt8] = []
        switch Descriptor.readPiece(descriptor, into: &piece) {
        case .bytes:
            cutter.feed(piece)
            return
        case .end: break
        case .failed(let code): inputFailure = .system(.inputOutput, input.name, code)
        }
        input.descriptor = nil
        cutter.end()
    }

    private mutating func send() throws(Failure) {
        switch backlog.withWaiting({ stream.send($0) }) {
        case .bytes(let count): backlog.drop(count)
        case .later: return
        // maild has closed; what it answered before can still be read.
        case .closed: canSend = false
        case .failed(let code): throw .system(.inputOutput, "sending to maild", code)
        }
    }

    private mutating func receive() throws(Failure) {
        let transfer = withUnsafeTemporaryAllocation(byteCount: Descriptor.pieceBytes, alignment: 1) { room in
            let transfer = stream.receive(room)
            if case .bytes(let count) = transfer { answers.append(room[..<count]) }
            return transfer
        }
        switch transfer {
        case .bytes: try takeAnswers()
        case .later: return
        case .closed: isClosed = true
        case .failed(let code): throw .system(.inputOutput, "reading from maild", code)
        }
    }

    private mutating func takeAnswers() throws(Failure) {
        while let answer = try nextAnswer() {
            try report.take(answer, of: window.oldest?.number)
            window.dropOldest()
        }
    }

    private mutating func nextAnswer() throws(Failure) -> [UInt8]? {
        do throws(Framer.TooLong) {
            return try answers.next()
        } catch {
            throw .strangeAnswer("longer than \(Self.answerBytesMax) bytes")
        }
    }

    private func lost() -> Failure {
        LostConnection(
            waiting: window.waiting, sentBytes: backlog.sent, isInputLeft: isInputLeft, isSingle: report.isSingle
        ).failure
    }
}
