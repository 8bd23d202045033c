// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The one thread that writes: gathers, commits, answers. Everything here runs on it.
final class SpoolWriter {
    private let keeping: any Keeping
    private let spool: Spool
    private let clock: any Clock
    private let observer: any SpoolObserver
    private let listener: any SpoolListener

    private var tally: Tally
    private var lastID: JobID
    private let node: Int64
    /// Settlements that no commit has taken yet: delivery has happened, so they are never given up.
    private var unsettled: [Settlement] = []
    private var unset: [(name: String, value: String?)] = []
    private var isWritable = true
    private var pruneAt: Double

    /// After a failed commit the settlements are tried again so often.
    private static let retrySeconds = 1.0
    private static let pruneSeconds = 60.0

    init(
        _ keeping: any Keeping, spool: Spool, clock: any Clock, observer: any SpoolObserver,
        listener: any SpoolListener
    ) {
        self.keeping = keeping
        self.spool = spool
        self.clock = clock
        self.observer = observer
        self.listener = listener
        tally = keeping.opened.tally
        lastID = keeping.opened.lastID
        node = keeping.opened.node
        pruneAt = clock.monotonic() + Self.pruneSeconds
    }

    func run() {
        while true {
            let requests = spool.take(within: patience)
            write(requests)
            for beat in requests.beats { beat() }
            pruneIfDue()
            if requests.close { return keeping.close() }
        }
    }

    /// How long to sleep at most: nothing wakes an idle writer but history that will grow old.
    private var patience: Double? {
        if !unsettled.isEmpty || !unset.isEmpty { return Self.retrySeconds }
        return tally.finished > 0 ? max(0, pruneAt - clock.monotonic()) : nil
    }

    private func write(_ requests: Spool.Requests) {
        unsettled += requests.settlements
        unset += requests.settings
        // On a full disk each new chunk fails what is committed with it, and what ended is what would make room.
        if !isWritable { commit([]) }
        var chunks = requests.chunks[...]
        repeat {
            commit(Array(cut(&chunks)))
        } while !chunks.isEmpty
    }

    /// As many chunks as make one commit of a sensible size; at least one.
    private func cut(_ chunks: inout ArraySlice<Chunk>) -> ArraySlice<Chunk> {
        var rows = 0
        var bytes = 0
        var end = chunks.startIndex
        while end < chunks.endIndex, rows < Limits.commitRowsMax, bytes < Limits.commitBytesMax {
            rows += chunks[end].submissions.count
            bytes += chunks[end].bytes.readableBytes
            end += 1
        }
        defer { chunks = chunks[end...] }
        return chunks[..<end]
    }

    private func commit(_ chunks: [Chunk]) {
        guard !chunks.isEmpty || !unsettled.isEmpty || !unset.isEmpty else { return }
        let began = clock.monotonic()
        var batch = Batch()
        batch.tally = tally
        batch.lastID = lastID
        batch.settlements = unsettled
        batch.settings = unset
        batch.chunks = chunks
        let rows = admit(&batch)
        for settlement in unsettled { batch.tally.move(settlement) }
        do throws(SpoolError) {
            if rows + unsettled.count + unset.count > 0 {
                let written = try keeping.commit(batch)
                if written != batch.tally { observer.spoolFailed(.failed(message: "a job was settled twice")) }
                batch.tally = written
                isWritable = true
            }
            taken(batch, rows: rows, seconds: clock.monotonic() - began)
        } catch {
            failed(chunks, error)
        }
        giveBack(chunks)
    }

    /// Gives every job its id, or the reason why there is no room for it. Returns how many are to be written.
    private func admit(_ batch: inout Batch) -> Int {
        let limits = spool.limits
        var rows = 0
        var next = max(lastID.advanced(by: 1), JobID.first(at: clock.now(), node: node))
        for chunk in batch.chunks {
            chunk.firstID = next
            for (index, job) in chunk.submissions.enumerated() {
                if let refusal = refusal(job, batch.tally, limits) {
                    chunk.refusals[index] = refusal
                    continue
                }
                batch.tally.add(job.dueAt == nil ? .ready : .scheduled, jobs: 1, bytes: job.range.count)
                batch.lastID = next
                next = next.advanced(by: 1)
                rows += 1
            }
        }
        return rows
    }

    private func refusal(_ job: Submission, _ tally: Tally, _ limits: SpoolLimits) -> SpoolError? {
        if tally.jobs >= limits.jobsMax { return .full(message: "the spool holds \(tally.jobs) jobs, its limit") }
        if tally.bytes + job.range.count > limits.bytesMax {
            return .full(message: "the spool holds \(tally.bytes) of at most \(limits.bytesMax) bytes")
        }
        return nil
    }

    private func taken(_ batch: Batch, rows: Int, seconds: Double) {
        tally = batch.tally
        lastID = batch.lastID
        let settled = unsettled.map(\.id)
        let written = rows + unsettled.count
        unsettled.removeAll(keepingCapacity: true)
        unset.removeAll()
        spool.publish(tally, isWritable: isWritable)
        if written > 0 {
            observer.committed(rows: written, seconds: seconds)
            listener.committed(batch.chunks, settled: settled)
        }
    }

    private func failed(_ chunks: [Chunk], _ error: SpoolError) {
        isWritable = false
        spool.publish(tally, isWritable: false)
        observer.spoolFailed(error)
        for chunk in chunks {
            for index in chunk.submissions.indices where chunk.refusals[index] == nil {
                chunk.refusals[index] = error
            }
        }
    }

    /// One call a sink, so that each event loop is woken once a commit.
    private func giveBack(_ chunks: [Chunk]) {
        guard let first = chunks.first else { return }
        if chunks.allSatisfy({ $0.sink === first.sink }) { return first.sink.committed(chunks) }
        for (_, chunks) in Dictionary(grouping: chunks, by: { ObjectIdentifier($0.sink) }) {
            chunks.first?.sink.committed(chunks)
        }
    }

    private func pruneIfDue() {
        guard tally.finished > 0, clock.monotonic() >= pruneAt else { return }
        let limits = spool.limits
        let before = clock.now() + -Double(limits.historySeconds)
        do throws(SpoolError) {
            let pruned = try keeping.prune(finishedBefore: before, jobsMax: limits.historyJobsMax, tally: tally)
            tally.finished -= pruned
            spool.publish(tally, isWritable: isWritable)
            // More to forget: go on soon, but let the jobs through in between.
            pruneAt = clock.monotonic() + (pruned >= 2000 ? 0.1 : Self.pruneSeconds)
        } catch {
            observer.spoolFailed(error)
            pruneAt = clock.monotonic() + Self.pruneSeconds
        }
    }
}
