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
    private let admission: Admission
    private var backlog = Backlog()
    /// Settlements that no commit has taken yet: delivery has happened, so they are never given up.
    private var unsettled: [Settlement] = []
    private var unset: [(name: String, value: String?)] = []
    private var isWritable = true
    /// Of the last commit that failed.
    private var refusal: SpoolError?
    private var pruneAt: Double
    /// Keys of jobs that have ended wait to be forgotten; unknown at the start.
    private var hasKeys = true

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
        admission = Admission(keeping, node: keeping.opened.node)
        pruneAt = clock.monotonic() + Self.pruneSeconds
    }

    func run() {
        var isClosing = false
        while true {
            let requests = take()
            write()
            for done in requests.keptAnswers { done(unset.isEmpty ? nil : refusal) }
            serve(requests)
            for beat in requests.beats { beat() }
            pruneIfDue()
            isClosing = isClosing || requests.close
            if isClosing, backlog.isEmpty { return keeping.close() }
        }
    }

    /// What has come; its chunks join those that wait.
    private func take() -> Spool.Requests {
        var requests = spool.take(within: backlog.isEmpty ? patience : 0)
        backlog.add(requests.chunks)
        requests.chunks = []
        unsettled += requests.settlements
        unset += requests.settings
        return requests
    }

    /// How long to sleep at most: nothing wakes an idle writer but history that will grow old.
    private var patience: Double? {
        if !unsettled.isEmpty || !unset.isEmpty { return Self.retrySeconds }
        return tally.finished > 0 || hasKeys ? max(0, pruneAt - clock.monotonic()) : nil
    }

    /// One commit: what comes meanwhile is looked at before the next.
    private func write() {
        // On a full disk each new chunk fails what is committed with it, and what ended is what would make room.
        if !isWritable { commit([]) }
        commit(backlog.cut())
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
        do throws(SpoolError) {
            let rows = try admission.admit(&batch, limits: spool.limits, now: clock.now())
            admission.nameReports(&batch, now: clock.now())
            for settlement in batch.settlements {
                batch.tally.move(settlement)
                batch.touched.insert(settlement.group)
            }
            if rows + unsettled.count + unset.count > 0 {
                let written = try keeping.commit(batch)
                if written != batch.tally {
                    observer.spoolFailed(.failed(message: "a job was settled twice"))
                    batch.settlements = []
                }
                batch.tally = written
                isWritable = true
            }
            taken(batch, rows: rows, seconds: clock.monotonic() - began)
        } catch {
            failed(chunks, error)
            giveBack(chunks)
        }
    }

    // MARK: Operators

    private func serve(_ requests: Spool.Requests) {
        for definition in requests.definitions {
            let numbers = Result { () throws(SpoolError) in try keeping.define(queues: definition.queues) }
            if case .success(let queues) = numbers { spool.queues = queues }
            definition.done(numbers)
        }
        for order in requests.imports {
            order.done(Result { () throws(SpoolError) in try take(order.jobs) })
        }
        for change in requests.changes {
            change.done(Result { () throws(SpoolError) in try apply(change.order) })
        }
    }

    private func take(_ jobs: [ImportedJob]) throws(SpoolError) -> [ImportVerdict] {
        // An id of this very spool, as where its own export comes back, must not be given again.
        let own = jobs.map(\.id).filter { $0.raw % JobID.step == keeping.opened.node }.max() ?? lastID
        let outcome = try keeping.take(jobs, tally: tally, limits: spool.limits, lastID: max(own, lastID))
        (tally, lastID) = (outcome.tally, max(own, lastID))
        spool.publish(tally, isWritable: isWritable)
        if !outcome.changed.isEmpty {
            observer.committed(rows: outcome.changed.count, seconds: 0)
            listener.changed(outcome.changed)
        }
        return outcome.verdicts
    }

    private func apply(_ order: ChangeOrder) throws(SpoolError) -> ChangeOutcome {
        // One of these jobs may have ended, in a way that the disk does not know yet.
        guard unsettled.isEmpty else { throw .unwritable(message: "what has ended waits to be written") }
        let outcome = try keeping.change(order, tally: tally)
        tally = outcome.tally
        spool.publish(tally, isWritable: isWritable)
        if !outcome.changed.isEmpty {
            observer.committed(rows: outcome.changed.count, seconds: 0)
            listener.changed(outcome.changed)
        }
        return outcome
    }

    // MARK: After a commit

    private func taken(_ batch: Batch, rows: Int, seconds: Double) {
        tally = batch.tally
        lastID = batch.lastID
        let settled = unsettled.map(\.id)
        let written = rows + unsettled.count
        unsettled.removeAll(keepingCapacity: true)
        unset.removeAll()
        spool.publish(tally, isWritable: isWritable)
        // First of all the answers: somebody waits for them.
        giveBack(batch.chunks)
        if written > 0 {
            observer.committed(rows: written, seconds: seconds)
            listener.committed(batch.chunks, settled: settled)
            let reported = batch.settlements.compactMap(\.reported)
            if !reported.isEmpty { listener.reported(reported) }
        }
    }

    private func failed(_ chunks: [Chunk], _ error: SpoolError) {
        isWritable = false
        refusal = error
        spool.publish(tally, isWritable: false)
        observer.spoolFailed(error)
        for chunk in chunks {
            for index in chunk.submissions.indices where chunk.refusals[index] == nil {
                // What an earlier commit has kept stays kept; a job of this one's was not.
                if let known = chunk.repeats[index], known.id <= lastID { continue }
                chunk.repeats[index] = nil
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
        guard tally.finished > 0 || hasKeys, clock.monotonic() >= pruneAt else { return }
        let limits = spool.limits
        let now = clock.now()
        do throws(SpoolError) {
            let pruned = try keeping.prune(
                finishedBefore: now + -Double(limits.historySeconds), jobsMax: limits.historyJobsMax,
                keysBefore: now + -Double(limits.keySeconds), tally: tally)
            tally.finished -= pruned.jobs
            hasKeys = pruned.hasKeys
            spool.publish(tally, isWritable: isWritable)
            // More to forget: go on soon, but let the jobs through in between.
            pruneAt = clock.monotonic() + (pruned.hasMore ? 0.1 : Self.pruneSeconds)
        } catch {
            observer.spoolFailed(error)
            pruneAt = clock.monotonic() + Self.pruneSeconds
        }
    }
}
