// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailWire
import NIOCore

/// One client on the submission socket: reads lines, hands their jobs to the spool, writes the answers in order.
///
/// Lives on the intake loop. It never waits for its own commit before it reads on; what it has read and not answered is
/// bounded instead, and past the bound it asks the kernel for no more bytes.
final class Conversation: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let intake: Intake
    let peer: PeerCredential
    /// As of the last reload.
    var standing: Standing
    private var cutter: LineCutter
    private let lookAhead: LookAhead?
    /// Bytes of the connection so far; the last `cutter.heldBytes` of them are no whole line yet, or not taken.
    private var received = 0
    private var files = PassedFiles()
    /// Its files are read, or it waits for a share of the budget; nothing behind it is judged before.
    private var filling: FileLine?
    /// What was read together with it, behind it.
    private var behind: CutLines?
    private var context: ChannelHandlerContext?

    private var unansweredLines = 0
    private var unansweredBytes = 0
    /// Chunks whose answers are to come, and answers written since the last flush.
    private var chunksOut = 0
    /// Answers behind a line that waits for its job's outcome, and that line itself.
    private var pending = PendingAnswers()
    private var wantsRead = false
    /// It was us who did not read, at some time since the line timer was set.
    private var wasHeldBack = false
    private var waitsForShare = false
    private var share = 0
    private var inputEnded = false
    /// No line is read any more: the connection ends when all answers are out.
    private var isEnding = false
    private var isLingering = false
    /// All answers have left, and all that will come was said.
    private var hasSpoken = false
    private var hasLineTimer = false

    /// - Parameter lookAhead: nil where no descriptors can come, as in a socket that is none of Unix's.
    init(_ intake: Intake, _ peer: PeerCredential, _ standing: Standing, _ lookAhead: LookAhead?) {
        self.intake = intake
        self.lookAhead = lookAhead
        self.peer = peer
        self.standing = standing
        cutter = LineCutter(bytesMax: intake.settings.lineBytesMax)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        forgetFiles()
        leaveBudget()
        for job in pending.jobs { intake.forget(job, self) }
        pending = PendingAnswers()
        intake.gone(self)
        context.fireChannelInactive()
    }

    var uid: UInt32 { peer.uid }

    // MARK: Reading

    func read(context: ChannelHandlerContext) {
        guard !isHeldBack else {
            wantsRead = true
            wasHeldBack = true
            return
        }
        context.read()
    }

    private var isHeldBack: Bool {
        if isLingering { return false }
        let settings = intake.settings
        return unansweredLines >= settings.unansweredLinesMax || unansweredBytes >= settings.unansweredBytesMax
            || waitsForShare || filling != nil || isEnding || context?.channel.isWritable == false
    }

    private func readOn() {
        guard wantsRead, !isHeldBack, let context else { return }
        wantsRead = false
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        // Taken even where nobody wants them, for then they are closed.
        let passed = lookAhead.map { intake.own($0.take(read: bytes.readableBytes), of: self) }
        guard !isEnding else { return }
        received += bytes.readableBytes
        cutter.append(bytes)
        if let passed, !passed.isEmpty { files.append(passed, at: received - 1) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !isEnding { takeLines() }
    }

    private func takeLines() {
        guard filling == nil else { return }
        let base = received - cutter.heldBytes
        if let (bytes, pieces) = cutter.take() { judge(CutLines(bytes, pieces, from: base)) }
        guard filling == nil else { return }
        files.forget(before: received - cutter.heldBytes)
        // What a long line without a job has left, such as one of blanks.
        if cutter.heldBytes <= Limits.smallLineBytesMax { giveBackShare() }
        if cutter.heldBytes > Limits.smallLineBytesMax, share == 0 { askForShare() }
        if cutter.isMidLine { watchLine() }
    }

    private func judge(_ cut: CutLines) {
        var lines = CheckedLines()
        for (index, piece) in zip(cut.pieces.indices, cut.pieces) {
            guard case .line(let range) = piece else {
                lines.refuse(intake.tooLong)
                continue
            }
            do throws(WireError) {
                if !files.isEmpty, let line = try lineWithFiles(range, of: cut) {
                    submit(cut.before(range), lines)
                    behind = cut.behind(index)
                    return fill(line)
                }
                check(range, of: cut.bytes, &lines)
            } catch {
                lines.refuse(error)
            }
        }
        submit(cut.bytes, lines)
    }

    private func check(_ range: Range<Int>, of bytes: ByteBuffer, _ lines: inout CheckedLines) {
        bytes.withUnsafeReadableBytes { all in
            let line = UnsafeRawBufferPointer(rebasing: all[range])
            if !CheckedLines.isBlank(line) { intake.check(line, at: range.lowerBound, of: self, &lines) }
        }
    }

    /// - Parameter held: of the reading budget; nil where it is the connection's, if it has any.
    private func submit(_ bytes: ByteBuffer, _ lines: CheckedLines, _ held: ReadingShare? = nil) {
        guard !lines.isEmpty else { return }
        let share = held ?? (cutter.heldBytes > Limits.smallLineBytesMax ? nil : handOverShare())
        let sheet = AnswerSheet(self, lines, byteCount: bytes.readableBytes, share: share)
        unansweredLines += sheet.lineCount
        unansweredBytes += sheet.byteCount
        chunksOut += 1
        intake.expect(sheet.waits.count)
        intake.submit(bytes, lines.submissions, sheet)
    }

    private func handOverShare() -> ReadingShare? {
        defer { share = 0 }
        return share > 0 ? ReadingShare(share, of: intake) : nil
    }

    private func askForShare() {
        let bytes = intake.takeShare(for: self)
        waitsForShare = bytes == nil
        share = bytes ?? 0
    }

    /// Its turn has come; may be told more than once, and after the end.
    func shareIsFree() {
        guard waitsForShare, context != nil else { return }
        askForShare()
        readFiles()
        readOn()
    }

    private func giveBackShare() {
        intake.release(share)
        share = 0
    }

    private func leaveBudget() {
        waitsForShare = false
        intake.leaveBudget(self, holding: share)
        share = 0
    }

    // MARK: Lines with files

    /// nil where the line is to be judged as it is: it names no descriptor of those that came with it.
    private func lineWithFiles(_ range: Range<Int>, of cut: CutLines) throws(WireError) -> FileLine? {
        let batch = files.take(cut.base + range.lowerBound...cut.base + range.upperBound)
        return batch.isEmpty ? nil : try intake.line(cut.line(range), with: batch)
    }

    private func fill(_ line: FileLine) {
        filling = line
        // However small the files are: how large they are is not known yet.
        if share == 0 { askForShare() }
        // Nobody else holds the line's bytes then, and it can grow in its place.
        intake.loop.execute { [self] in readFiles() }
    }

    /// Once there is a share.
    private func readFiles() {
        guard let line = filling, line.share == nil, let share = handOverShare(), let context else { return }
        line.share = share
        let pause = TimeAmount.milliseconds(Int64(intake.settings.lineSecondsMax * 1000))
        context.eventLoop.assumeIsolated().scheduleTask(in: pause) { [weak self, weak line] in
            // A disk that does not answer.
            if let self, let line, filling === line { intake.timedOut(self) }
        }
        intake.read(line, of: self)
    }

    /// The line has its files, or never will.
    func filled(_ line: FileLine) {
        // Nobody waits for it any more, or it is another's turn.
        guard filling === line else { return }
        filling = nil
        var lines = CheckedLines()
        if let error = line.error {
            lines.refuse(error)
        } else {
            check(0..<line.bytes.readableBytes, of: line.bytes, &lines)
        }
        submit(line.bytes, lines, line.share)
        if let cut = behind {
            behind = nil
            judge(cut)
        }
        if !isEnding { takeLines() }
        if inputEnded, !isEnding { endInput() }
        readOn()
    }

    private func forgetFiles() {
        filling?.abandon()
        filling = nil
        behind = nil
        files = PassedFiles()
    }

    // MARK: Answering

    /// Called once a chunk; `flush` follows once a commit.
    func answer(_ chunk: Chunk, _ sheet: AnswerSheet) {
        chunksOut -= 1
        unansweredBytes -= sheet.byteCount
        guard let context else { return intake.expect(-sheet.waits.count) }
        guard sheet.waits.isEmpty, pending.isEmpty else { return queue(chunk, sheet) }
        unansweredLines -= sheet.lineCount
        var out = context.channel.allocator.buffer(capacity: 48 * sheet.lineCount)
        sheet.answer(chunk, into: &out)
        context.write(wrapOutboundOut(out), promise: nil)
    }

    /// A line waits for its job's end, or stands behind one that does.
    private func queue(_ chunk: Chunk, _ sheet: AnswerSheet) {
        var waiting = 0
        sheet.queue(chunk, on: &pending) { job, isRepeat in
            waiting += 1
            intake.wait(for: job, self, isRepeat: isRepeat)
        }
        // Lines that were refused do not wait.
        intake.expect(waiting - sheet.waits.count)
        sendKnown()
    }

    /// The job has come to its end, or the daemon to its own.
    /// - Parameter record: nil where the job is gone.
    func settled(_ job: JobID, _ record: JobRecord?) {
        intake.expect(-pending.settle(job, record))
        sendKnown()
        flush()
    }

    private func sendKnown() {
        guard let context else { return }
        var out = ByteBuffer()
        let lines = pending.takeKnown(into: &out)
        guard lines > 0 else { return }
        unansweredLines -= lines
        context.write(wrapOutboundOut(out), promise: nil)
    }

    func flush() {
        context?.flush()
        readOn()
        endIfAnswered()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        readOn()
        context.fireChannelWritabilityChanged()
    }

    // MARK: The end

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            return context.fireUserInboundEventTriggered(event)
        }
        if hasSpoken { return context.close(promise: nil) }
        inputEnded = true
        endInput()
    }

    private func endInput() {
        guard filling == nil else { return }
        let base = received - cutter.heldBytes
        if !isEnding, let (bytes, pieces) = cutter.takeLast() {
            judge(CutLines(bytes, pieces, from: base))
            guard filling == nil else { return }
        }
        isEnding = true
        leaveBudget()
        endIfAnswered()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The client is gone, mid-write or mid-read: its answered jobs are safe, and it knows which.
        context.close(promise: nil)
    }

    /// Says why and reads no further; what was read before is still answered, in its order.
    func end(with error: WireError?) {
        guard !isEnding else { return }
        isEnding = true
        let error = error ?? (filling == nil ? nil : Intake.draining)
        // The line that was begun will never be whole.
        cutter = LineCutter(bytesMax: intake.settings.lineBytesMax)
        forgetFiles()
        leaveBudget()
        if let error {
            var lines = CheckedLines()
            lines.refuse(error)
            submit(ByteBuffer(), lines)
        }
        endIfAnswered()
    }

    private func endIfAnswered() {
        guard isEnding, chunksOut == 0, pending.isEmpty, !isLingering, let context else { return }
        isLingering = true
        // Closing would drop what the client was too slow to take: written last, this tells when all has left.
        let last = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: last)
        last.futureResult.assumeIsolated().whenSuccess { [self] in hangUp() }
        if !inputEnded { context.read() }
    }

    private func hangUp() {
        guard let context else { return }
        hasSpoken = true
        if inputEnded { return context.close(promise: nil) }
        // What the client has written is read and dropped for a while: closing on unread bytes resets the connection,
        // and takes answers with it that the client has not read.
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        context.eventLoop.scheduleTask(in: .milliseconds(Int64(intake.settings.lingerSeconds * 1000))) {
            channel.close(promise: nil)
        }
    }

    // MARK: A line that stops in the middle

    private func watchLine() {
        guard !hasLineTimer, let context else { return }
        hasLineTimer = true
        wasHeldBack = false
        let serial = cutter.serial
        let pause = TimeAmount.milliseconds(Int64(intake.settings.lineSecondsMax * 1000))
        context.eventLoop.assumeIsolated().scheduleTask(in: pause) { [weak self] in self?.lookAtLine(serial) }
    }

    private func lookAtLine(_ serial: Int) {
        hasLineTimer = false
        guard let context, cutter.isMidLine, !isEnding else { return }
        // Another line has begun since, or it is us who did not read: the client is given its time anew. But not with
        // a share in its hands that others wait for, if it is held back for reading no answers.
        let isOurs = (wasHeldBack || isHeldBack) && (share == 0 || context.channel.isWritable)
        if serial != cutter.serial || isOurs { return watchLine() }
        intake.timedOut(self)
    }
}
