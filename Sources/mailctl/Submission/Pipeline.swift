// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Lines to maild and answers back, both at once: `poll` decides what moves next, so that neither side ever waits for
/// the other to read. A connection that breaks is made anew, and what it left open is sent again: each job has a key.
struct Pipeline: ~Copyable {
    /// No answer comes near; longer is not maild's.
    private static let answerBytesMax = 1 << 20
    /// A maild that refuses for so short a time is stopping, and its next start answers (docs/protocol.md § Answers).
    private static let restartSeconds = 2

    private let open: () throws(Failure) -> UnixStream
    private var link: Link
    private var persistence: Persistence
    private var input: SubmissionInput
    private var cutter = LineCutter(keys: JobKeys())
    private var outbox = Outbox()
    private var answers = Framer.lines(bytesMax: Pipeline.answerBytesMax)
    private var report: SubmissionReport
    /// Reading the input failed; what was read before is finished first.
    private var inputFailure: Failure?

    /// One connection.
    private final class Link {
        let stream: UnixStream
        var canSend = true
        var hasSent = false
        var hasFinished = false
        var isClosed = false
        var answerCount = 0
        /// Its first answer, and so far its only one, is what a user with too many connections is told.
        var isTurnedAway = false

        init(_ stream: consuming UnixStream) { self.stream = stream }

        func note(_ answer: Answer) {
            answerCount += 1
            guard case .refused(let refusal) = answer else { return isTurnedAway = false }
            isTurnedAway = answerCount == 1 && refusal.name == WireErrorName.quotaExceeded.rawValue
        }
    }

    /// - Parameter open: makes another connection in the place of `stream`.
    init(
        _ stream: consuming UnixStream, _ input: SubmissionInput, _ report: SubmissionReport,
        _ persistence: Persistence = Persistence(), open: @escaping () throws(Failure) -> UnixStream
    ) {
        link = Link(stream)
        self.open = open
        self.persistence = persistence
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
            if isDone { break }
            if isLost, try !renew() { break }
            try report.settle()
            try waitAndMove()
        }
        try report.finish()
        if !isDone { throw lost() }
        if let inputFailure { throw inputFailure }
        return report.status
    }

    private var isInputLeft: Bool { input.descriptor != nil || !cutter.isEmpty }
    private var isDone: Bool { !isInputLeft && outbox.isEmpty }

    private var wantsInput: Bool { input.descriptor != nil && link.canSend && outbox.hasRoom }

    private mutating func cutLines() {
        while link.canSend, outbox.hasRoom {
            guard outbox.take(from: &cutter) else { break }
        }
        if link.canSend, !link.hasFinished, !isInputLeft, outbox.unsentCount == 0 {
            link.hasFinished = true
            link.stream.finishSending()
        }
    }

    // MARK: A lost connection

    /// The connection has ended; or it was made anew, and answers nothing (systemd keeps the socket of a maild that
    /// does not start).
    private var isLost: Bool {
        link.isClosed || persistence.isOver && !(outbox.oldest?.waitsForOutcome ?? false)
    }

    /// Connects again and begins with the oldest line that was not answered; false where that cannot be.
    private mutating func renew() throws(Failure) -> Bool {
        persistence.lost()
        guard outbox.mayRepeat, !link.isTurnedAway else { return false }
        try report.settle()
        guard let stream = try persistence.connect(open) else { return false }
        link = Link(stream)
        answers = Framer.lines(bytesMax: Self.answerBytesMax)
        outbox.rewind()
        // Nothing is to be answered soon, so nothing can be late.
        if outbox.oldest?.waitsForOutcome ?? true { persistence.rest() }
        return true
    }

    private func lost() -> Failure {
        LostConnection(
            waiting: outbox.waiting, sentBytes: outbox.sent, isInputLeft: isInputLeft, isSingle: report.isSingle,
            soughtSeconds: persistence.soughtSeconds
        ).failure
    }

    // MARK: Moving bytes

    private mutating func waitAndMove() throws(Failure) {
        let sending = link.canSend && outbox.unsentCount > 0 ? POLLOUT : 0
        var interests = [
            pollfd(fd: link.stream.descriptor, events: Int16(POLLIN | sending), revents: 0),
            // A negative descriptor is passed over.
            pollfd(fd: wantsInput ? input.descriptor ?? -1 : -1, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&interests, 2, pollMilliseconds) > 0 else { return }
        if interests[0].revents & ~Int16(POLLOUT) != 0 { try receive() }
        if link.canSend, sending != 0, interests[0].revents & Int16(POLLOUT) != 0 { try send() }
        if interests[1].revents != 0 { readInput() }
    }

    private var pollMilliseconds: Int32 {
        guard let left = persistence.millisecondsLeft else { return report.pollMilliseconds }
        return report.pollMilliseconds < 0 ? left : min(left, report.pollMilliseconds)
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
        // With the line's first bytes, over each connection: it is the only line.
        let files = link.hasSent ? [] : input.files
        switch outbox.withUnsent({ link.stream.send($0, passing: files) }) {
        case .bytes(let count):
            link.hasSent = true
            outbox.send(count)
        case .later: return
        // maild has closed; what it answered before can still be read.
        case .closed: link.canSend = false
        case .failed(let code): throw .system(.inputOutput, "sending to maild", code)
        }
    }

    private mutating func receive() throws(Failure) {
        let transfer = withUnsafeTemporaryAllocation(byteCount: Descriptor.pieceBytes, alignment: 1) { room in
            let transfer = link.stream.receive(room)
            if case .bytes(let count) = transfer { answers.append(room[..<count]) }
            return transfer
        }
        switch transfer {
        case .bytes: try takeAnswers()
        case .later: return
        case .closed: link.isClosed = true
        case .failed(let code): throw .system(.inputOutput, "reading from maild", code)
        }
    }

    private mutating func takeAnswers() throws(Failure) {
        while !link.isClosed, let line = try nextAnswer() {
            let answer = try Answer(parsing: line)
            if isOfRestart(answer) {
                link.isClosed = true
                return
            }
            link.note(answer)
            try report.take(answer, line, of: outbox.oldest?.number)
            outbox.drop()
            persistence.answered()
        }
    }

    /// maild stops: its next start takes the line, and those behind it.
    private func isOfRestart(_ answer: Answer) -> Bool {
        guard case .refused(let refusal) = answer, refusal.name == WireErrorName.draining.rawValue else { return false }
        return refusal.retryAfter.map { $0 <= Self.restartSeconds } ?? false && outbox.mayRepeat && persistence.mayBegin
    }

    private mutating func nextAnswer() throws(Failure) -> [UInt8]? {
        do throws(Framer.TooLong) {
            return try answers.next()
        } catch {
            throw .strangeAnswer("longer than \(Self.answerBytesMax) bytes")
        }
    }
}
