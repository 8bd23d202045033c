// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailWire
import NIOCore

/// Answers of one connection that cannot leave yet, because a line before them waits for its job's end. In the order of
/// the lines; what was read is not kept, only what is to be said.
struct PendingAnswers {
    enum Item {
        /// Answers that are known, so many lines.
        case text(ByteBuffer, lines: Int)
        /// The ref is a JSON string with its quotes.
        case waits(JobID, ref: [UInt8]?, isRepeat: Bool)
    }

    private var items = CircularBuffer<Item>()

    var isEmpty: Bool { items.isEmpty }

    mutating func append(_ item: Item) { items.append(item) }

    /// Those that are still waited for.
    var jobs: [JobID] {
        items.compactMap { if case .waits(let job, _, _) = $0 { job } else { nil } }
    }

    /// The job's lines can be answered. Returns how many they are.
    mutating func settle(_ job: JobID, _ record: JobRecord?) -> Int {
        var lines = 0
        for index in items.indices {
            guard case .waits(job, let ref, let isRepeat) = items[index] else { continue }
            var text = ByteBuffer()
            SettledAnswer(job, record).write(ref: ref, isRepeat: isRepeat, to: &text)
            items[index] = .text(text, lines: 1)
            lines += 1
        }
        return lines
    }

    /// What may leave now: everything up to the first line that waits.
    mutating func takeKnown(into out: inout ByteBuffer) -> Int {
        var lines = 0
        while case .text(var text, let count)? = items.first {
            items.removeFirst()
            out.writeBuffer(&text)
            lines += count
        }
        return lines
    }
}

/// What became of a job, as its submitter is told: docs/protocol.md § Answers.
struct SettledAnswer {
    private let job: JobID
    private let state: JobState
    /// Each once, in the order of their first attempt, with the last verdict.
    private let fates: [AttemptRecord.Fate]

    /// - Parameter record: nil where the job is gone: an operator has purged it.
    init(_ job: JobID, _ record: JobRecord?) {
        self.job = job
        state = record?.state ?? .cancelled
        var order: [String] = []
        var last: [String: AttemptRecord.Fate] = [:]
        for fate in HistoryRecord.parse(record?.history ?? []).compactMap(\.attempt).flatMap(\.fates) {
            if last.updateValue(fate, forKey: fate.recipient) == nil { order.append(fate.recipient) }
        }
        fates = order.compactMap { last[$0] }
    }

    func write(ref: [UInt8]?, isRepeat: Bool, to out: inout ByteBuffer) {
        out.put("{\"job\":")
        out.putJSON(job.description)
        out.put(",\"state\":")
        out.putJSON(state.name)
        if isRepeat { out.put(",\"duplicate\":true") }
        if let ref {
            out.put(",\"ref\":")
            out.writeBytes(ref)
        }
        out.put(",\"recipients\":[")
        for (index, fate) in fates.enumerated() {
            out.put(index == 0 ? "{\"to\":" : ",{\"to\":")
            out.putJSON(fate.recipient)
            out.put(",\"verdict\":")
            out.putJSON(fate.verdict)
            out.put(",\"code\":")
            out.putJSON(fate.reply.code)
            out.put(",\"enhanced\":")
            out.putJSON(fate.reply.enhanced)
            out.put(",\"text\":")
            out.putJSON(fate.reply.text)
            out.put("}")
        }
        out.put("]}\n")
    }
}
