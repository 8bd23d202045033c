// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// The one thread that writes: gathers, commits, answers. Everything here runs on it, but for `commit(alone:)` while it
/// sleeps.
final class SpoolWriter {
    let keeping: any Keeping
    let spool: Spool
    private let clock: any Clock
    let observer: any SpoolObserver
    let listener: any SpoolListener

    var tally: Tally
    var lastID: JobID
    private let admission: Admission
    private var backlog = Backlog()
    let upkeep: SpoolUpkeep
    /// Settlements that no commit has taken yet: delivery has happened, so they are never given up.
    var unsettled: [Settlement] = []
    private var unset: [(name: String, value: String?)] = []
    /// Damaged rows that are not on record yet.
    private var damaged: [DamagedRow] = []
    private var isWritable = true
    /// Of the last commit that failed.
    private var refusal: SpoolError?
    /// When a commit is tried that nobody has asked for, after one that failed.
    private var probeAt = 0.0
    /// The file is damaged beyond single rows: nothing is written any more.
    var corruption: SpoolError?
    /// Of the smallest chunk for which there was no room in this turn.
    private var tooBig: Int?
    /// Commits that came to nothing in a row because another node was quicker with a key.
    private var races = 0
    /// When it wakes by itself.
    private var wakeAt = 0.0

    /// After a failed commit the settlements are tried again so often.
    private static let retrySeconds = 1.0
    /// And with nothing to write it is found out so often whether there could be.
    private static let probeSeconds = 5.0

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
        upkeep = SpoolUpkeep(keeping, clock: clock)
    }

    func run() {
        upkeep.lookForRoom(spool.limits)
        upkeep.begin(spool.limits)
        publish()
        var isClosing = false
        while true {
            let requests = take()
            let isIdle = requests.isEmpty && backlog.isEmpty
            note(requests.discoveries)
            write()
            for done in requests.keptAnswers { done(unset.isEmpty ? nil : refusal) }
            serve(requests)
            for beat in requests.beats { beat() }
            if requests.wantsRecount { wantRecount() }
            keepUp(isIdle: isIdle)
            lookAround()
            isClosing = isClosing || requests.close
            if isClosing, backlog.isEmpty { return keeping.close() }
        }
    }

    /// What has come; its chunks join those that wait.
    private func take() -> Spool.Requests {
        let wait = backlog.isEmpty ? patience : 0
        wakeAt = clock.monotonic() + (wait ?? .infinity)
        var requests = spool.take(within: wait)
        backlog.add(requests.chunks)
        requests.chunks = []
        unsettled += requests.settlements
        unset += requests.settings
        return requests
    }

    /// On the thread of whoever stands in: one chunk, where there is nothing else to do.
    /// - Returns: false where there is, or where that might take long; nothing was done.
    func commit(alone chunk: Chunk) -> Bool {
        let isClear =
            backlog.isEmpty && unsettled.isEmpty && unset.isEmpty && damaged.isEmpty && isWritable && corruption == nil
            && !upkeep.isLow && keeping.fleet == nil
        guard isClear else { return false }
        backlog.add([chunk])
        write()
        return true
    }

    /// Something is due earlier than what it sleeps for.
    var wantsToWakeSooner: Bool { patience.map { clock.monotonic() + $0 < wakeAt } ?? false }

    /// How long to sleep at most.
    private var patience: Double? {
        guard corruption == nil else { return nil }
        let retry = unsettled.isEmpty && unset.isEmpty && damaged.isEmpty ? nil : Self.retrySeconds
        let probe = isWritable ? nil : Self.probeSeconds
        let look = keeping.fleet == nil ? nil : Self.retrySeconds
        let asked = SpoolUpkeep.earliest(SpoolUpkeep.earliest(retry, probe), look)
        return SpoolUpkeep.earliest(upkeep.patience(tally), asked)
    }

    func publish() {
        var health = SpoolHealth()
        health.refusal =
            if corruption != nil {
                .damaged
            } else if !isWritable {
                .unwritable
            } else {
                upkeep.isLow ? .lowOnSpace : nil
            }
        health.freeBytes = upkeep.freeBytes
        health.damagedJobs = keeping.damagedJobs
        for row in keeping.takeRecorded() { observer.setAside(row) }
        if spool.publish(tally, health) { observer.changed(health) }
    }

    // MARK: Writing

    /// One commit: what comes meanwhile is looked at before the next.
    private func write() {
        let chunks = backlog.cut()
        if !chunks.isEmpty || upkeep.isLow || !isWritable { lookForRoom(coming: chunks) }
        // On a full disk each new chunk fails what is committed with it, and what ended is what would make room.
        if !isWritable { commit([], isProbe: clock.monotonic() >= probeAt) }
        setAside()
        tooBig = nil
        commit(chunks)
    }

    private func lookForRoom(coming chunks: [Chunk]) {
        let before = (upkeep.isLow, upkeep.freeBytes)
        upkeep.lookForRoom(spool.limits, coming: chunks.reduce(0) { $0 + $1.bytes.readableBytes })
        if before != (upkeep.isLow, upkeep.freeBytes) { publish() }
    }

    /// - Parameter isProbe: though there is nothing to write, to find out whether that could be.
    private func commit(_ chunks: [Chunk], isProbe: Bool = false) {
        guard !chunks.isEmpty || !unsettled.isEmpty || !unset.isEmpty || isProbe else { return }
        do throws(SpoolError) {
            if let corruption { throw corruption }
            try tryCommit(chunks, isProbe: isProbe)
        } catch {
            if case .outOfSpace = error, divide(chunks) { return }
            if case .conflict = error, races < Self.racesMax { return again(chunks) }
            failed(chunks, error)
            chunks.giveBack()
        }
        races = 0
    }

    private static let racesMax = 5

    /// Another node has put in a key of these meanwhile: now that it is there, each job is judged anew.
    private func again(_ chunks: [Chunk]) {
        races += 1
        for chunk in chunks { chunk.forgetVerdicts() }
        commit(chunks)
    }

    private func tryCommit(_ chunks: [Chunk], isProbe: Bool) throws(SpoolError) {
        let began = clock.monotonic()
        var batch = Batch()
        batch.tally = tally
        batch.lastID = lastID
        batch.settings = unset
        batch.chunks = chunks
        let closed = upkeep.isLow ? SpoolError.outOfSpace(message: "the disk is nearly full") : nil
        let rows = try admission.admit(&batch, limits: spool.limits, closed: closed, now: clock.now())
        batch.settlements = keeping.damagedJobs == 0 ? unsettled : unsettled.map(adjusted)
        admission.nameReports(&batch, now: clock.now())
        for settlement in batch.settlements {
            batch.tally.move(settlement)
            batch.touched.insert(settlement.group)
        }
        if rows + unsettled.count + unset.count > 0 || isProbe {
            let damagedBefore = keeping.damagedJobs
            let written = try keeping.commit(batch)
            if written != batch.tally {
                // The reports of what was not settled as it came are not there.
                if keeping.damagedJobs == damagedBefore {
                    observer.spoolFailed(.failed(message: "a job was settled twice"))
                    batch.settlements = []
                } else {
                    batch.settlements.removeAll { keeping.isSetAside($0.id) }
                }
            }
            batch.tally = written
            isWritable = true
        }
        taken(batch, rows: rows, seconds: clock.monotonic() - began)
    }

    /// A job whose row was found to be damaged while it was in hand is held by now.
    private func adjusted(_ settlement: Settlement) -> Settlement {
        guard keeping.isSetAside(settlement.id) else { return settlement }
        var settlement = settlement
        settlement.was = .held
        if !settlement.state.isFinal {
            settlement.state = .held
            settlement.dueAt = nil
        }
        return settlement
    }

    // MARK: Too little room

    /// What does not fit together may fit in parts: the ends first, then each half of the chunks. A chunk no smaller
    /// than one that did not fit by itself is not tried.
    /// - Returns: false where it cannot be divided, and nothing was done.
    private func divide(_ chunks: [Chunk]) -> Bool {
        upkeep.foundNoRoom()
        let hasEnds = !unsettled.isEmpty || !unset.isEmpty
        guard !chunks.isEmpty else { return hasEnds && commitFromReserve() }
        guard chunks.count > 1 || hasEnds else {
            tooBig = min(tooBig ?? .max, chunks[0].bytes.readableBytes)
            return false
        }
        if hasEnds { commit([]) }
        guard unsettled.isEmpty && unset.isEmpty else {
            // Whatever is tried would have to take the ends along, and there is no room even for these.
            refuse(chunks)
            return true
        }
        let (hopeless, rest) = chunks.reduce(into: ([Chunk](), [Chunk]())) { parts, chunk in
            if let tooBig, chunk.bytes.readableBytes >= tooBig { parts.0.append(chunk) } else { parts.1.append(chunk) }
        }
        refuse(hopeless)
        let middle = (rest.count + 1) / 2
        for half in [Array(rest[..<middle]), Array(rest[middle...])] where !half.isEmpty { commit(half) }
        return true
    }

    private func refuse(_ chunks: [Chunk]) {
        guard !chunks.isEmpty else { return }
        failed(chunks, .outOfSpace(message: "there is no room on the disk for so much"))
        chunks.giveBack()
    }

    /// Not even the ends fit.
    private func commitFromReserve() -> Bool {
        guard keeping.releaseReserve() else { return false }
        commit([])
        return true
    }

    // MARK: Damage

    private func note(_ discoveries: Discoveries) {
        damaged += discoveries.damaged
        if let corruption = discoveries.corruption { isDamaged(corruption) }
    }

    private func setAside() {
        guard !damaged.isEmpty, corruption == nil else { return }
        do throws(SpoolError) {
            let outcome = try keeping.setAside(damaged, at: clock.now(), tally: tally)
            damaged.removeAll()
            tally = outcome.tally
            publish()
            if !outcome.changed.isEmpty { listener.changed(outcome.changed) }
        } catch {
            report(error)
        }
        if keeping.damagedJobs > Limits.damagedJobsMax {
            isDamaged(.corrupt(message: "more than \(Limits.damagedJobsMax) jobs are damaged"))
        }
    }

    private func isDamaged(_ error: SpoolError) {
        guard corruption == nil else { return }
        corruption = error
        keeping.mark(corrupt: error.message)
        publish()
        observer.spoolFailed(error)
    }

    /// What went wrong beside the commits.
    private func report(_ error: SpoolError) {
        if case .corrupt = error { return isDamaged(error) }
        if case .outOfSpace = error { upkeep.foundNoRoom() }
        observer.spoolFailed(error)
    }

    // MARK: After a commit

    private func taken(_ batch: Batch, rows: Int, seconds: Double) {
        tally = batch.tally
        lastID = batch.lastID
        let settled = unsettled.map(\.id)
        let written = rows + unsettled.count
        unsettled.removeAll(keepingCapacity: true)
        unset.removeAll()
        publish()
        // First of all the answers: somebody waits for them.
        batch.chunks.giveBack()
        if written > 0 {
            upkeep.wrote()
            observer.committed(rows: written, seconds: seconds)
            listener.committed(batch.chunks, settled: settled)
            let reported = batch.settlements.compactMap(\.reported)
            if !reported.isEmpty { listener.reported(reported) }
        }
    }

    private func failed(_ chunks: [Chunk], _ error: SpoolError) {
        isWritable = false
        refusal = error
        probeAt = clock.monotonic() + Self.probeSeconds
        if case .corrupt = error { isDamaged(error) } else { observer.spoolFailed(error) }
        publish()
        for chunk in chunks { chunk.refuse(error, after: lastID) }
    }

    // MARK: Upkeep

    /// What other nodes do changes the tally too.
    private func lookAround() {
        guard keeping.fleet != nil, isWritable, unsettled.isEmpty else { return }
        do throws(SpoolError) {
            let current = try keeping.current(tally)
            guard current != tally else { return }
            tally = current
            publish()
        } catch {
            failed([], error)
        }
    }

    private func wantRecount() {
        guard corruption == nil else { return }
        do throws(SpoolError) { try keeping.wantRecount() } catch { report(error) }
    }

    private func keepUp(isIdle: Bool) {
        guard corruption == nil else { return }
        do throws(SpoolError) {
            let pruned = try upkeep.pruneIfDue(tally, spool.limits)
            if pruned > 0 {
                tally.finished -= pruned
                publish()
            }
            try upkeep.shrinkIfDue(isIdle: isIdle)
        } catch {
            // What is put by for the ends lets the log be copied, and that gives back more.
            if case .outOfSpace = error, keeping.releaseReserve() { return upkeep.foundNoRoom() }
            report(error)
        }
    }
}
