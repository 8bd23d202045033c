// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailWire
import NIOCore

extension ByteBuffer: ByteSink {
    package mutating func put(_ byte: UInt8) { writeInteger(byte) }
    package mutating func put(_ bytes: UnsafeRawBufferPointer) { writeBytes(bytes) }
}

/// What the answers to a chunk need beside the chunk: whose they are, which refs to echo, and the lines that were
/// refused at once. The chunk's notes.
final class AnswerSheet {
    let conversation: Conversation
    /// By submission, where any line had one: the ref as it stood in the line, quotes included.
    private let refs: [Range<Int>?]
    /// Refused lines, each with the number of submissions before it.
    let errors: [(before: Int, error: WireError)]
    /// Indices of submissions whose answer waits for the outcome. Empty on the usual road.
    let waits: Set<Int>
    /// Given back when the chunk, of which these are the notes, is let go of by everybody.
    private let share: ReadingShare?
    let lineCount: Int
    let byteCount: Int

    init(_ conversation: Conversation, _ lines: CheckedLines, byteCount: Int, share: ReadingShare?) {
        self.conversation = conversation
        refs = lines.refs
        errors = lines.errors
        waits = lines.waits
        self.share = share
        lineCount = lines.submissions.count + lines.errors.count
        self.byteCount = byteCount
    }

    /// Writes an answer for each line, in the order of the lines.
    func answer(_ chunk: Chunk, into out: inout ByteBuffer) {
        out.reserveCapacity(minimumWritableBytes: 48 * lineCount)
        var id = chunk.firstID
        let isAllKept = chunk.isAllKept
        var error = errors.startIndex
        for index in chunk.submissions.indices {
            while error < errors.endIndex, errors[error].before <= index {
                errors[error].error.write(to: &out)
                error += 1
            }
            if !isAllKept, let refusal = chunk.refusals[index] {
                WireError(refusal, ref: ref(index, chunk)).write(to: &out)
                continue
            }
            if !isAllKept, let known = chunk.repeats[index] {
                accept(known.id, known.state, isRepeat: true, ref(index, chunk), &out)
                continue
            }
            accept(id, chunk.submissions[index].dueAt == nil ? .ready : .scheduled, ref(index, chunk), &out)
            id = id.advanced(by: 1)
        }
        for late in errors[error...] { late.error.write(to: &out) }
    }

    /// The same for a chunk some of whose lines wait, or which stands behind one that does: what is to be said, line by
    /// line, without the chunk's bytes.
    func queue(_ chunk: Chunk, on pending: inout PendingAnswers, _ wait: (JobID, _ isRepeat: Bool) -> Void) {
        var text = ByteBuffer()
        var lines = 0
        var id = chunk.firstID
        var early = errors[...]
        for index in chunk.submissions.indices {
            while let error = early.first, error.before <= index {
                early.removeFirst().error.write(to: &text)
                lines += 1
            }
            let known = chunk.repeats[index]
            let job = known?.id ?? id
            if let refusal = chunk.refusals[index] {
                WireError(refusal, ref: ref(index, chunk)).write(to: &text)
                lines += 1
            } else if waits.contains(index) {
                if lines > 0 { pending.append(.text(text, lines: lines)) }
                (text, lines) = (ByteBuffer(), 0)
                pending.append(.waits(job, ref: ref(index, chunk), isRepeat: known != nil))
                wait(job, known != nil)
            } else {
                let fresh = chunk.submissions[index].dueAt == nil ? JobState.ready : .scheduled
                accept(job, known?.state ?? fresh, isRepeat: known != nil, ref(index, chunk), &text)
                lines += 1
            }
            if chunk.isKept(index) { id = id.advanced(by: 1) }
        }
        for late in early { late.error.write(to: &text) }
        lines += early.count
        if lines > 0 { pending.append(.text(text, lines: lines)) }
    }

    private func ref(_ index: Int, _ chunk: Chunk) -> [UInt8]? {
        guard !refs.isEmpty, let range = refs[index] else { return nil }
        return chunk.bytes.getBytes(at: chunk.bytes.readerIndex + range.lowerBound, length: range.count)
    }

    private func accept(
        _ id: JobID, _ state: JobState, isRepeat: Bool = false, _ ref: [UInt8]?, _ out: inout ByteBuffer
    ) {
        out.put("{\"job\":\"")
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: JobID.textLength) { bytes in
            for index in 0..<JobID.textLength { bytes[index] = id.digit(index) }
            return JobID.textLength
        }
        switch state {
        case .ready: out.put("\",\"state\":\"ready\"")
        case .scheduled: out.put("\",\"state\":\"scheduled\"")
        default:
            out.put("\",\"state\":")
            out.putJSON(state.name)
        }
        if isRepeat { out.put(",\"duplicate\":true") }
        if let ref {
            out.put(",\"ref\":")
            out.writeBytes(ref)
        }
        out.put("}\n")
    }
}

extension WireError {
    /// Seconds after which room may have been made, or an operator have looked.
    private static let fullSeconds = 5
    private static let unwritableSeconds = 10

    init(_ error: SpoolError, ref: [UInt8]?) {
        switch error {
        case .full(let message):
            self.init(.queueFull, message, retryAfter: Self.fullSeconds, ref: ref)
        case .quota(let message):
            self.init(.quotaExceeded, message, retryAfter: Self.fullSeconds, ref: ref)
        case .conflict(let message):
            self.init(.conflict, "idempotency_key: \(message)", field: "idempotency_key", ref: ref)
        case .unwritable:
            let message = "the spool cannot be written; the journal says why"
            self.init(.readOnly, message, retryAfter: Self.unwritableSeconds, ref: ref)
        case .outOfSpace:
            self.init(
                .readOnly, "the disk is full, or nearly so; delivery goes on", retryAfter: Self.unwritableSeconds,
                ref: ref)
        case .corrupt, .tooNew, .failed:
            self.init(.internal, "the spool failed; the journal says why", retryable: true, ref: ref)
        }
    }
}
