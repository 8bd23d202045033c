// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import NIOCore

/// Ready jobs at hand, and where the rest is to be read: a bounded window on a queue that lives on disk.
///
/// A value without I/O. Each lane (priority, queue and user) has its jobs in the order of age, and a cursor up to
/// which the spool's ready jobs have been loaded. While a lane keeps up, committed jobs enter it straight from memory;
/// once it is full it only remembers that there is more, and is filled by reading from its cursor. Scheduled jobs whose
/// time has come enter the lanes by reads of their own (`DueReads`). Which lane is next is decided by `Turns`.
///
/// Reads and commits are told by different threads, each in its own order: a read may be told before a commit that it
/// has seen, and after one that it has not.
package struct ReadyWindow {
    private var lanes: [LaneWindow] = []
    private var numbers: [Lane: Int] = [:]
    /// The lane that was asked for last: most jobs come many of a lane.
    private var last: (lane: Lane, number: Int)?
    private var turns = Turns()
    private var due = DueReads()
    private var withdrawals = Withdrawals()
    /// Lanes with `more`.
    private var needy: Set<Int> = []
    /// Differs whenever `lanesWithMore` does.
    package private(set) var moreEdition = 0
    private var readingCount = 0
    /// The spool's lanes are known: before that, any lane may hold jobs that were not read.
    private var isOpen: Bool
    package private(set) var count = 0
    private var bytes = 0
    /// No job of any queue may run.
    package var isPaused = false

    /// What a start knows: there may be ready jobs on disk, in lanes that `open` tells.
    package init(hasReady: Bool) { isOpen = !hasReady }

    /// Lanes in which ready jobs wait on disk.
    package mutating func open(_ waiting: [Lane]) {
        isOpen = true
        for lane in waiting { needs(number(lane)) }
    }

    /// What the spool should be asked for, as the pump asks at each of its turns.
    package struct Wants {
        package var lanes: Bool
        package var due: Bool
    }

    /// Changes nothing. `mutating`, because then it is asked in place, and not of a copy of all this.
    package mutating func wants() -> Wants { Wants(lanes: needsLanes, due: wantsDue) }

    package var needsLanes: Bool { !isOpen }

    private mutating func number(_ lane: Lane) -> Int {
        if let last, last.lane == lane { return last.number }
        let number = numbers[lane] ?? lanes.count
        if number == lanes.count {
            lanes.append(LaneWindow(lane))
            numbers[lane] = number
        }
        last = (lane, number)
        return number
    }

    private mutating func needs(_ number: Int) {
        lanes[number].more = true
        if needy.insert(number).inserted { moreEdition &+= 1 }
    }

    /// Those of which it is known that ready jobs are on disk and not at hand: what is committed in them is found when
    /// they are read, which `lanesToRead` begins.
    package var lanesWithMore: Set<Lane> { Set(needy.map { lanes[$0].lane }) }

    // MARK: Taking

    /// How each queue is served; a queue without a rule has the usual one.
    package var rules: [UInt16: QueueRule] {
        get { turns.rules }
        set { turns.rules = newValue }
    }

    /// The next job, whose queue is busy with it until `ended`; nil where none may run.
    /// - Parameter room: bytes that a large job may have. Where the one whose turn it is must wait for room, no other
    ///   large one is begun before it, but small ones are.
    package mutating func next(room: Int = .max) -> WaitingJob? {
        guard count > 0, let number = turn(room) else { return nil }
        guard let job = lanes[number].take() else { return nil }
        count -= 1
        bytes -= job.body.readableBytes
        if lanes[number].count == 0 { leave(number) }
        return job
    }

    private mutating func turn(_ room: Int) -> Int? {
        guard room < .max, let upcoming = turns.upcoming else { return turns.next() }
        if let head = lanes[upcoming].head, head.isLarge, head.length > room {
            let isSmall = lanes.map { $0.head?.isLarge == false }
            return turns.next { isSmall[$0] }
        }
        return turns.next()
    }

    private mutating func leave(_ number: Int) { lanes[number].pass = turns.left(number, lanes[number].lane) }

    /// A job that `next` gave out has ended.
    package mutating func ended(_ job: WaitingJob) { turns.ended(job.queue) }

    package func running(_ queue: UInt16) -> Int { turns.running(queue) }

    private mutating func put(_ job: WaitingJob, _ number: Int, isDue: Bool) {
        if lanes[number].count == 0 { turns.arrived(number, lanes[number].lane, pass: lanes[number].pass) }
        if isDue { lanes[number].due.append(job) } else { lanes[number].fresh.append(job) }
        lanes[number].bytes += job.body.readableBytes
        bytes += job.body.readableBytes
        count += 1
    }

    // MARK: Ready

    /// True where the job fits in and nothing older is still to be read; else the lane remembers that there is more.
    package mutating func admits(_ id: JobID, _ lane: Lane, length: Int) -> Bool {
        let number = number(lane)
        // A read was quicker than the news of the commit.
        guard id > lanes[number].cursor else { return false }
        guard isOpen, !lanes[number].more, !lanes[number].isReading, hasRoom(number, length) else {
            needs(number)
            return false
        }
        return true
    }

    /// Every lane has room for one job, so that none stands still because of others.
    private func hasRoom(_ number: Int, _ length: Int) -> Bool {
        let lane = lanes[number]
        guard lane.count > 0 else { return true }
        return lane.count < Limits.windowJobsMax && lane.bytes + length <= Limits.windowBytesMax && !isCrowded
            && !rests(number)
    }

    /// None of the lane's jobs may run before an operator says so: until then, one at hand is enough.
    private func rests(_ number: Int) -> Bool { isPaused || turns.isPaused(lanes[number].lane.queue) }

    /// All lanes together hold as much as may be in memory.
    private var isCrowded: Bool { count >= Limits.windowsJobsMax || bytes >= Limits.windowsBytesMax }

    package mutating func add(_ job: WaitingJob) {
        let number = number(job.lane)
        lanes[number].cursor = job.id
        if !withdrawals.holds(job) { put(job, number, isDue: false) }
    }

    /// One that should be made now.
    package struct Read: Equatable, Sendable {
        package var lane: Lane
        package var after: JobID
        /// Rows.
        package var limit: Int
    }

    /// Rows a read brings: a quarter second of a fast relay; where memory is short, a few.
    package static let readLimit = 512
    private static let crowdedReadLimit = 8

    /// Lanes that should be read: there is more, and what is at hand runs low. The highest priority first.
    package mutating func lanesToRead() -> [Read] {
        guard isOpen, !needy.isEmpty else { return [] }
        var reads: [Read] = []
        for number in needy where !lanes[number].isReading && lanes[number].runsLow {
            if lanes[number].count > 0, isCrowded || rests(number) { continue }
            lanes[number].isReading = true
            readingCount += 1
            // What is committed from here on may be missed by the read, and sets this again.
            lanes[number].more = false
            let limit = isCrowded ? Self.crowdedReadLimit : Self.readLimit
            reads.append(Read(lane: lanes[number].lane, after: lanes[number].cursor, limit: limit))
        }
        if !reads.isEmpty { moreEdition &+= 1 }
        for read in reads { needy.remove(number(read.lane)) }
        return reads.sorted {
            ($1.lane.priority, $0.lane.queue, $0.lane.uid) < ($0.lane.priority, $1.lane.queue, $1.lane.uid)
        }
    }

    /// - Parameter complete: the read came to the end of what there was.
    package mutating func loaded(_ jobs: [WaitingJob], _ lane: Lane, complete: Bool) {
        let number = number(lane)
        lanes[number].isReading = false
        readingCount -= 1
        if !complete { needs(number) }
        for job in jobs where job.id > lanes[number].cursor { add(job) }
        free(withdrawals.readEnded(lane: number))
    }

    // MARK: Claimed

    /// Jobs that this node has claimed.
    /// - Returns: those that operators are about to change; they are to be given back.
    package mutating func claimed(_ jobs: [WaitingJob]) -> [WaitingJob] {
        for job in jobs where !withdrawals.names(job.id) { put(job, number(job.lane), isDue: true) }
        return jobs.filter { withdrawals.names($0.id) }
    }

    /// Lanes with so many jobs at hand.
    package func lanes(atLeast count: Int) -> Set<Lane> { Set(lanes.filter { $0.count >= count }.map(\.lane)) }

    /// Nothing is at hand of any other lane.
    package func hasOnly(_ few: Set<Lane>) -> Bool {
        lanes.allSatisfy { $0.count == 0 || (few.count == 1 && few.contains($0.lane)) }
    }

    /// Of queues that may not run as many jobs as there are workers: how many more are wanted at hand.
    /// - Parameter jobsPerRunning: so many at hand for each that may run.
    package func rooms(jobsPerRunning: Int) -> [UInt16: Int] {
        var rooms = rules.compactMapValues { rule in
            rule.isPaused ? 0 : rule.concurrencyMax.map { $0 * jobsPerRunning }
        }
        guard !rooms.isEmpty else { return rooms }
        for lane in lanes where lane.count > 0 {
            if let room = rooms[lane.lane.queue] { rooms[lane.lane.queue] = max(0, room - lane.count) }
        }
        return rooms
    }

    /// Jobs at hand of queues that may begin none now.
    package var blockedCount: Int {
        guard !rules.isEmpty else { return 0 }
        return lanes.reduce(0) { $0 + ($1.count > 0 && !turns.mayRun($1.lane.queue) ? $1.count : 0) }
    }

    /// Lets go of what is at hand, of the queues that are wanted, and returns it.
    package mutating func clear(where isWanted: (UInt16) -> Bool = { _ in true }) -> [WaitingJob] {
        var cleared: [WaitingJob] = []
        for number in lanes.indices where lanes[number].count > 0 && isWanted(lanes[number].lane.queue) {
            while let job = lanes[number].take() {
                cleared.append(job)
                bytes -= job.body.readableBytes
            }
            leave(number)
        }
        count -= cleared.count
        return cleared
    }

    // MARK: Due

    /// Scheduled jobs at hand or in hand, until their settlement is on disk.
    package var dueLoaded: Int { due.loaded.count }

    package var dueByClass: [JobClass: Int] {
        due.loaded.values.reduce(into: [:]) { counts, found in counts[found, default: 0] += 1 }
    }

    /// A look for due jobs is outstanding, and may begin.
    package var wantsDue: Bool {
        guard due.mayBegin else { return false }
        if due.wantsLook { return true }
        let open = due.open
        return !open.isEmpty && open.contains { numbers[$0].map { lanes[$0].dueRunsLow } ?? true }
    }

    /// What a look for due jobs should ask for.
    package struct Look: Equatable, Sendable {
        /// How many of those that it will find are known.
        package var known: Int
        /// Lanes that have enough at hand, or of which nothing new would be found.
        package var skipping: Set<Lane>
    }

    /// Begins a look for due jobs; nil where it must wait, and is remembered.
    package mutating func beginDue() -> Look? {
        guard due.mayBegin else {
            due.wantsLook = true
            return nil
        }
        let skipping = due.begin(full: Set(lanes.filter { !$0.dueRunsLow }.map(\.lane)))
        return Look(known: due.knownCount, skipping: skipping)
    }

    package mutating func loadedDue(_ found: DueJobs) {
        for job in due.end(found) where !withdrawals.holds(job) { put(job, number(job.lane), isDue: true) }
        free(withdrawals.readEnded(lane: nil))
    }

    /// The look came to nothing, and is made again.
    package mutating func lookFailed() {
        due.failed()
        free(withdrawals.readEnded(lane: nil))
    }

    /// The attempt has ended, and the job is to be scheduled; `settled` follows.
    package mutating func deferred(_ id: JobID) { due.deferred(id) }

    /// The job's settlement is on disk.
    package mutating func settled(_ id: JobID) { due.settled(id) }

    // MARK: Changes

    /// Takes these out of the workers' reach. `changed` or `restore` follows, once for each.
    package mutating func withdraw(_ ids: [JobID]) {
        let wanted = Set(ids)
        var atHand: [WaitingJob] = []
        for number in lanes.indices where lanes[number].count > 0 {
            let removed = lanes[number].remove(wanted)
            guard !removed.isEmpty else { continue }
            count -= removed.count
            bytes -= removed.reduce(0) { $0 + $1.body.readableBytes }
            if lanes[number].count == 0 { leave(number) }
            atHand += removed
        }
        withdrawals.add(ids, atHand: atHand)
    }

    /// Their change is on disk: what is at hand of them is out of date.
    package mutating func changed(_ ids: [JobID]) {
        let reading = Set(readingCount > 0 ? lanes.indices.filter { lanes[$0].isReading } : [])
        free(withdrawals.changed(ids, reading: reading, isDueRead: due.isReading))
    }

    /// Nothing became of their change.
    package mutating func restore(_ ids: [JobID]) { free(withdrawals.restore(ids)) }

    private mutating func free(_ freed: Withdrawals.Freed) {
        // Before all fresh ones, for they are older than whatever the lane has yet to read.
        for job in freed.unchanged { put(job, number(job.lane), isDue: true) }
        guard !freed.changed.isEmpty else { return }
        for id in freed.changed { due.settled(id) }
        due.wantsLook = true
    }

    /// The same of each queue that has jobs at hand.
    package var oldestByQueue: [UInt16: WallTime] {
        var oldest: [UInt16: WallTime] = [:]
        for lane in lanes {
            guard let time = lane.head?.readyAt else { continue }
            oldest[lane.lane.queue] = min(oldest[lane.lane.queue] ?? time, time)
        }
        return oldest
    }

    /// When the longest-waiting job at hand became ready.
    package var oldest: WallTime? {
        lanes.lazy.compactMap { $0.head?.readyAt }.min()
    }
}
