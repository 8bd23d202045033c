// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Synchronization

/// What the spool tells of itself. Called on the writer's thread, or that of who stands in for it
/// (`Spool.commit(alone:)`).
package protocol SpoolObserver: AnyObject, Sendable {
    /// One commit is durable.
    func committed(rows: Int, seconds: Double)
    func spoolFailed(_ error: SpoolError)
    /// A job's row is damaged, and the job is held.
    func setAside(_ row: DamagedRow)
    /// Jobs are refused from now on, or taken again.
    func changed(_ health: SpoolHealth)
}

extension SpoolObserver {
    package func setAside(_ row: DamagedRow) {}
    package func changed(_ health: SpoolHealth) {}
}

/// Who works on the jobs. Called on the writer's thread, or that of who stands in for it, once a commit: hop from
/// there.
package protocol SpoolListener: AnyObject, Sendable {
    func committed(_ chunks: [Chunk], settled: [JobID])
    /// An operator's verb is on disk.
    func changed(_ jobs: [ChangedJob])
    /// Reports are on disk, each with the end that it tells of; after `committed` was told of that.
    func reported(_ jobs: [ReportedJob])
}

extension SpoolListener {
    package func reported(_ jobs: [ReportedJob]) {}
}

/// Bounds of one spool, from the configuration.
package struct SpoolLimits: Equatable, Sendable {
    package var jobsMax = Limits.spoolJobsMax
    package var bytesMax = Limits.spoolBytesMax
    package var historySeconds = Limits.historySeconds
    package var historyJobsMax = Limits.historyJobsMax
    package var keySeconds = Limits.keySeconds
    /// With less left on the file system no job is taken; 0: jobs are taken for as long as the disk takes them.
    package var freeBytesMin = 0
    package init() {}
}

/// The promise: what was answered is on disk, and is worked on until its fate is known.
///
/// One writer thread turns everything that waits into one transaction (group commit) and answers after it; one reader
/// thread answers questions without being in its way. What a keeping (SQLite) stores is its own business.
package final class Spool: Sendable {
    package let opened: OpenedSpool
    package let clock: any Clock
    package let storedBytes: @Sendable () -> Int
    /// What the file system has left for us; nil where nobody knows.
    package let freeBytes: @Sendable () -> Int?
    /// This node among those that share the spool; nil where it has it for itself.
    package let fleet: FleetMember?
    private let requests: Doorbell<Requests>
    private let questions: Doorbell<[Question]>
    private let shared: Mutex<Shared>
    private let threads: Mutex<[WorkerThread]> = Mutex([])
    private let checks: SpoolChecks
    private let desk: WriterDesk

    /// Runs on the reader's thread; `nil` ends it.
    typealias Question = (@Sendable (any Reading) -> Void)?

    struct Requests {
        var chunks: [Chunk] = []
        var settlements: [Settlement] = []
        var settings: [(name: String, value: String?)] = []
        var keptAnswers: [@Sendable (SpoolError?) -> Void] = []
        var beats: [@Sendable () -> Void] = []
        var changes: [Change] = []
        var imports: [Import] = []
        var definitions: [Definition] = []
        var discoveries = Discoveries()
        var wantsRecount = false
        var close = false

        /// Nobody wants anything.
        var isEmpty: Bool {
            chunks.isEmpty && settlements.isEmpty && settings.isEmpty && beats.isEmpty && changes.isEmpty
                && imports.isEmpty && definitions.isEmpty && keptAnswers.isEmpty && discoveries.isEmpty && !wantsRecount
                && !close
        }
    }

    struct Change {
        var order: ChangeOrder
        var done: @Sendable (Result<ChangeOutcome, SpoolError>) -> Void
    }

    struct Import {
        var jobs: [ImportedJob]
        var done: @Sendable (Result<[ImportVerdict], SpoolError>) -> Void
    }

    struct Definition {
        var queues: [String]
        var done: @Sendable (Result<[String: UInt16], SpoolError>) -> Void
    }

    struct Shared {
        var tally: Tally
        var limits: SpoolLimits
        var queues: [String: UInt16]
        var health = SpoolHealth()
    }

    package init(
        _ keeping: any Keeping, clock: any Clock, limits: SpoolLimits, observer: any SpoolObserver,
        listener: any SpoolListener
    ) throws(SpoolError) {
        opened = keeping.opened
        self.clock = clock
        storedBytes = keeping.storedBytes
        freeBytes = keeping.freeBytes
        fleet = keeping.fleet
        requests = Doorbell(Requests())
        questions = Doorbell([])
        var shared = Shared(tally: keeping.opened.tally, limits: limits, queues: keeping.opened.queues)
        shared.health.damagedJobs = keeping.damagedJobs
        self.shared = Mutex(shared)
        checks = SpoolChecks(keeping.checker)
        let reading = Handover(try keeping.reading())
        desk = WriterDesk()
        let writer = Handover(
            SpoolWriter(keeping, spool: self, clock: clock, observer: observer, listener: listener))
        desk.writer = writer.value
        let write = try WorkerThread(name: "spool-writer") { writer.value.run() }
        let read = try WorkerThread(name: "spool-reader") { [questions, requests] in
            Self.answer(questions, reading.value) { found in requests.put { $0.discoveries.add(found) } }
        }
        threads.withLock { $0 = [write, read] }
    }

    /// Carries what one thread made to the one that will own it.
    private struct Handover<Value>: @unchecked Sendable {
        let value: Value
        init(_ value: Value) { self.value = value }
    }

    /// The writer, for whoever stands in for it while it sleeps; the doorbell sees to it that nobody else does then.
    private final class WriterDesk: @unchecked Sendable {
        weak var writer: SpoolWriter?
    }

    // MARK: Any thread

    /// The chunk comes back through its sink, kept or refused; in the order of the calls.
    package func append(_ chunks: [Chunk]) { requests.put { $0.chunks += chunks } }

    /// Commits one chunk on the calling thread, which waits for the disk, where the writer sleeps and there is nothing
    /// else to write: then no thread has to be woken. The chunk comes back through its sink, as after `append`.
    /// - Returns: false where it is not so; nothing was done.
    package func commit(alone chunk: Chunk) -> Bool {
        var isDone = false
        let isFree = requests.standIn {
            guard let writer = desk.writer else { return false }
            isDone = writer.commit(alone: chunk)
            return isDone && writer.wantsToWakeSooner
        }
        return isFree && isDone
    }

    /// Kept by the next commit, and tried again for as long as the disk refuses.
    package func settle(_ settlements: [Settlement]) { requests.put { $0.settlements += settlements } }

    package func set(_ name: String, to value: String?) { requests.put { $0.settings.append((name, value)) } }

    /// `done` on the writer's thread once what was set before is on disk; with the error, where the disk refuses it: it
    /// is tried again for as long.
    package func kept(_ done: @escaping @Sendable (SpoolError?) -> Void) {
        requests.put { $0.keptAnswers.append(done) }
    }

    /// An operator's verb, in a transaction of its own; `done` on the writer's thread, after it was told to the
    /// listener. None of the jobs may be in a worker's hands, nor come there before `done`.
    package func change(
        _ order: ChangeOrder, done: @escaping @Sendable (Result<ChangeOutcome, SpoolError>) -> Void
    ) {
        requests.put { $0.changes.append(Change(order: order, done: done)) }
    }

    /// Jobs of another spool, in a transaction of its own; at most `Limits.changeJobsMax`. `done` on the writer's
    /// thread, after they were told to the listener.
    package func take(
        _ jobs: [ImportedJob], done: @escaping @Sendable (Result<[ImportVerdict], SpoolError>) -> Void
    ) {
        requests.put { $0.imports.append(Import(jobs: jobs, done: done)) }
    }

    /// Numbers for queues by name, those of `Keeping.define`; `done` on the writer's thread.
    package func define(
        queues: [String], done: @escaping @Sendable (Result<[String: UInt16], SpoolError>) -> Void
    ) {
        requests.put { $0.definitions.append(Definition(queues: queues, done: done)) }
    }

    /// `body` runs on the writer's thread between two commits: proof that it moves.
    package func beat(_ body: @escaping @Sendable () -> Void) { requests.put { $0.beats.append(body) } }

    /// `body` runs on the reader's thread.
    package func ask(_ body: @escaping @Sendable (any Reading) -> Void) { questions.put { $0.append(body) } }

    /// Looks at everything that is kept, on a thread of its own; a look that is under way is joined. Nil where the
    /// keeping cannot be looked at.
    /// - Parameter isFull: indexes are compared with their tables, which takes several times as long.
    package func check(isFull: Bool) -> SpoolChecks.Look? {
        checks.begin(isFull: isFull) { [requests] report, fresh in
            requests.put { requests in
                requests.discoveries.damaged += fresh
                if report.isMiscounted { requests.wantsRecount = true }
            }
        }
    }

    /// A look that `check` began; nil for one that is not known any more.
    package func look(_ number: Int) -> SpoolChecks.Look? { checks.look(number) }

    package var tally: Tally { shared.withLock { $0.tally } }
    package var health: SpoolHealth { shared.withLock { $0.health } }
    /// The last commit succeeded.
    package var isWritable: Bool { health.isWritable }
    package var limits: SpoolLimits {
        get { shared.withLock { $0.limits } }
        set { shared.withLock { $0.limits = newValue } }
    }

    /// Numbers of all queues that ever were, by name.
    package internal(set) var queues: [String: UInt16] {
        get { shared.withLock { $0.queues } }
        set { shared.withLock { $0.queues = newValue } }
    }

    /// `#N` for a number that was never given.
    package func name(ofQueue number: UInt16) -> String {
        if number == 0 { return "default" }
        return queues.first { $0.value == number }?.key ?? "#\(number)"
    }

    /// - Returns: whether the spool's health is another than before.
    func publish(_ tally: Tally, _ health: SpoolHealth) -> Bool {
        shared.withLock { shared in
            defer { shared.health = health }
            shared.tally = tally
            return shared.health.refusal != health.refusal
        }
    }

    /// What has come.
    func take(within seconds: Double?) -> Requests { requests.takeAll(leaving: Requests(), within: seconds) }

    /// Commits what was handed over before the call, then ends both threads. Blocks.
    package func close() {
        checks.close()
        // The reader first: whoever closes last clears SQLite's log away, and a connection that only reads may not.
        let (writer, reader) = threads.withLock { ($0.first, $0.last) }
        questions.put { $0.append(nil) }
        reader?.join()
        requests.put { $0.close = true }
        writer?.join()
    }

    private static func answer(
        _ questions: Doorbell<[Question]>, _ reading: any Reading, _ report: (Discoveries) -> Void
    ) {
        while true {
            for question in questions.takeAll(leaving: [], within: nil) {
                guard let question else { return reading.close() }
                question(reading)
                let found = reading.takeDiscoveries()
                if !found.isEmpty { report(found) }
            }
        }
    }
}
