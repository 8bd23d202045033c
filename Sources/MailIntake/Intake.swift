// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailJob
import MailSpool
import MailTelemetry
import MailWire
import NIOCore
import NIOPosix
import Synchronization

/// The submission socket: who is connected, what they share, and the road to the spool and back.
///
/// Lives on the intake loop. What a tick reads goes to the spool in few hand-overs; all answers of one commit come back
/// in one hop. A job that comes alone is committed on the loop itself (docs/decisions/0039-a-job-alone.md).
package final class Intake: @unchecked Sendable {
    // Everything but `connectionCount` is touched on `loop` alone.
    package let loop: any EventLoop
    private let spool: Spool
    private let outcomes: Outcomes
    private let clock: any Clock
    let events: Events
    private var schemas: [any JobSchema]
    private(set) var settings: IntakeSettings
    private let apps: Apps
    private var reader: JobReader
    private var rates = SubmissionRates()
    private var budget: ReadingBudget
    private var conversations: [ObjectIdentifier: Conversation] = [:]
    private var perUser: [UInt32: Int] = [:]
    private var outbox: [Chunk] = []
    private var pace = LonePace()
    /// For good: the daemon stops.
    package private(set) var isDraining = false
    /// An operator lets the queue run empty.
    private var isClosed = false
    private var servers: [any Channel] = []
    private var gates: [AcceptGate] = []
    private let connectionCount = Atomic<Int>(0)
    private let view = SocketView()
    /// Where clients' files are read.
    package let fileThreads: FileThreads
    private var whenEmpty: (() -> Void)?

    package init(
        on loop: any EventLoop, spool: Spool, schemas: [any JobSchema], settings: IntakeSettings, outcomes: Outcomes,
        clock: any Clock, events: Events, fileThreads: FileThreads = FileThreads()
    ) {
        self.fileThreads = fileThreads
        self.outcomes = outcomes
        self.loop = loop
        self.spool = spool
        self.schemas = schemas
        self.settings = settings
        self.clock = clock
        self.events = events
        apps = events.apps
        reader = JobReader(schemas: schemas, limits: settings.jobLimits)
        budget = ReadingBudget(bytesMax: settings.readingBytesMax, lineBytesMax: settings.lineBytesMax)
    }

    /// Open connections; may be asked on any thread.
    package var connections: Int { connectionCount.load(ordering: .relaxed) }

    /// For lines and connections that begin from now on. The schemas are of the same kinds in the same order.
    package func apply(_ settings: IntakeSettings, schemas: [any JobSchema]) {
        loop.assertInEventLoop()
        self.schemas = schemas
        self.settings = settings
        reader = JobReader(schemas: schemas, limits: settings.jobLimits)
        for conversation in conversations.values { conversation.standing = standing(of: conversation.peer) }
        renewBudget()
        for gate in gates { gate.reopen() }
    }

    /// Shares that are out were counted by the old budget; a new one begins when none is.
    private func renewBudget() {
        guard budget.isUnused else { return }
        budget = ReadingBudget(bytesMax: settings.readingBytesMax, lineBytesMax: settings.lineBytesMax)
    }

    // MARK: Listening

    /// Serves a listening Unix socket; the descriptor is owned from here on.
    package func serve(_ descriptor: CInt) -> EventLoopFuture<Void> {
        let gate = AcceptGate(intake: self)
        return ServerBootstrap(group: loop)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(gate) }
            }
            // One client a read, so that the gate decides on each.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.autoRead, value: true)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // So that `LookAhead` is asked before each read.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try welcome(channel) }
            }
            .withBoundSocket(descriptor)
            .map { [self] channel in
                servers.append(channel)
                gates.append(gate)
            }
    }

    private func welcome(_ channel: any Channel) throws {
        let peer = PeerCredential.of(channel, allGroups: apps.haveGroups)
        let conversation = Conversation(self, peer, standing(of: peer), try LookAhead.install(in: channel, view))
        try channel.pipeline.syncOperations.addHandler(conversation)
        conversations[ObjectIdentifier(conversation)] = conversation
        connectionCount.store(conversations.count, ordering: .relaxed)
        perUser[peer.uid, default: 0] += 1
        events.clientConnected()
        if perUser[peer.uid, default: 0] > settings.connectionsPerUserMax { refuse(conversation) }
    }

    /// What a user may, by its app.
    private func standing(of peer: PeerCredential) -> Standing {
        let app = apps.app(user: peer.uid, groups: peer.groups)
        if apps.note(peer.uid, is: app) { spool.set(Apps.fact(of: peer.uid), to: app.name) }
        return Standing(app: events.appHandle(app.name), limits: settings.jobLimits(of: app), quota: app.quota)
    }

    private func refuse(_ conversation: Conversation) {
        events.clientRefused(reason: WireErrorName.quotaExceeded.rawValue)
        let message = "user \(conversation.uid) has \(settings.connectionsPerUserMax) connections, its limit"
        conversation.end(with: WireError(.quotaExceeded, message, retryAfter: 1))
    }

    var hasRoom: Bool { conversations.count < settings.connectionsMax }

    func gone(_ conversation: Conversation) {
        let name = ObjectIdentifier(conversation)
        guard conversations.removeValue(forKey: name) != nil else { return }
        connectionCount.store(conversations.count, ordering: .relaxed)
        perUser[conversation.uid, default: 1] -= 1
        if perUser[conversation.uid] == 0 { perUser[conversation.uid] = nil }
        events.clientGone()
        for gate in gates { gate.reopen() }
        endIfEmpty()
    }

    // MARK: The road to the spool

    func check(
        _ line: UnsafeRawBufferPointer, at offset: Int, of client: Conversation, _ lines: inout CheckedLines
    ) {
        if isDraining || isClosed {
            return lines.refuse(isDraining ? Self.draining : Self.closed, line, by: &reader)
        }
        let rate = client.standing.quota.jobsPerMinute
        if let rate, let wait = rates.wait(of: client.uid, perMinute: rate, now: clock.monotonic()) {
            let message = "you may submit \(rate) jobs a minute"
            let error = WireError(.quotaExceeded, message, retryAfter: max(1, Int(wait.rounded(.up))))
            return lines.refuse(error, line, by: &reader)
        }
        let before = lines.submissions.count
        lines.check(
            line, at: offset, now: clock.now(), expirySeconds: settings.expirySeconds, limits: client.standing.limits,
            mayWait: outcomes.hasRoom, by: &reader)
        if rate != nil, lines.submissions.count > before { rates.take(of: client.uid) }
    }

    // MARK: Files

    /// What came with a read is this conversation's from now on.
    func own(_ rights: SocketView.Rights, of client: Conversation) -> PassedFiles.Batch {
        var batch = PassedFiles.Batch(isCut: rights.isCut)
        for number in rights.numbers {
            if let file = fileThreads.own(number, of: client.uid) {
                batch.files.append(file)
            } else {
                batch.isCut = true
            }
        }
        return batch
    }

    /// nil where the line names none of its descriptors.
    func line(_ bytes: ByteBuffer, with batch: PassedFiles.Batch) throws(WireError) -> FileLine? {
        let found = try bytes.withUnsafeReadableBytes { line in
            Result { () throws(WireError) in try reader.descriptors(in: line) }
        }.get()
        guard !found.places.isEmpty else { return nil }
        if let missing = found.places.first(where: { $0.number >= batch.files.count }) {
            throw missing.missing(isCut: batch.isCut, ref: found.ref)
        }
        return FileLine(bytes, found, batch.files)
    }

    /// Calls `filled` on the loop.
    func read(_ line: FileLine, of client: Conversation) {
        let bytesMax = settings.lineBytesMax
        fileThreads.run(for: client.uid) { [loop] in
            line.fill(bytesMax: bytesMax)
            loop.execute { client.filled(line) }
        }
    }

    // MARK: Outcomes

    func expect(_ lines: Int) { outcomes.expect(lines) }

    func wait(for job: JobID, _ conversation: Conversation, isRepeat: Bool) {
        outcomes.wait(for: job, conversation, isRepeat: isRepeat)
    }

    func forget(_ job: JobID, _ conversation: Conversation) {
        outcomes.expect(-1)
        outcomes.forget(job, conversation)
    }

    func submit(_ bytes: ByteBuffer, _ submissions: [Submission], _ sheet: AnswerSheet) {
        if outbox.isEmpty { loop.execute { [self] in handOver() } }
        let client = sheet.conversation
        let chunk = Chunk(bytes: bytes, submissions: submissions, uid: client.uid, sink: self, notes: sheet)
        chunk.quota = client.standing.quota
        outbox.append(chunk)
        for (_, error) in sheet.errors {
            events.refused(error: error.name.rawValue, lines: 1, app: client.standing.app)
        }
        if outbox.count >= Self.chunksAtOnce { handOver() }
    }

    /// So many begin a commit where the writer has none under way, and what this tick still reads goes into the next:
    /// the disk and this loop are both busy then. Fewer would make commits of a job or two.
    private static let chunksAtOnce = 16

    private func handOver() {
        guard !outbox.isEmpty else { return }
        let chunks = outbox
        outbox.removeAll(keepingCapacity: true)
        pace.handedOver(chunks.count, at: clock.monotonic())
        if pace.mayStandStill, let chunk = chunks.first, chunk.submissions.count == 1, spool.commit(alone: chunk) {
            return
        }
        spool.append(chunks)
    }

    private func answered(_ chunks: [Chunk]) {
        pace.answered(chunks.count, at: clock.monotonic())
        var accepted = AcceptedRuns(wantsEach: events.tellsAccepted)
        var touched: [Conversation] = []
        for chunk in chunks {
            guard let sheet = chunk.notes as? AnswerSheet else { continue }
            let conversation = sheet.conversation
            accepted.add(chunk, app: conversation.standing.app)
            countOthers(chunk, client: conversation.standing.app)
            conversation.answer(chunk, sheet)
            if touched.last !== conversation { touched.append(conversation) }
        }
        for run in accepted.runs {
            events.accepted(kind: Int(run.kind), queue: run.queue, jobs: run.jobs, app: run.app)
        }
        for conversation in touched { conversation.flush() }
        // Whoever waits for an answer does not wait for the log.
        for run in accepted.runs {
            events.tell(run.each, kind: Int(run.kind), queue: run.queue, app: run.app, user: run.uid)
        }
    }

    /// Those that did not become jobs of their own.
    private func countOthers(_ chunk: Chunk, client app: AppHandle) {
        guard !chunk.isAllKept else { return }
        for (index, _) in chunk.repeats { events.deduplicated(kind: Int(chunk.submissions[index].kind)) }
        for (_, refusal) in chunk.refusals {
            events.refused(error: WireError(refusal, ref: nil).name.rawValue, lines: 1, app: app)
        }
    }

    // MARK: Shares and time-outs

    func takeShare(for conversation: Conversation) -> Int? {
        guard let share = budget.take(for: ObjectIdentifier(conversation)) else { return nil }
        wake(budget.next)
        return share
    }

    func release(_ bytes: Int) {
        guard bytes > 0 else { return }
        wake(budget.release(bytes))
        renewBudget()
    }

    /// The conversation needs no share any more, and waits for none.
    func leaveBudget(_ conversation: Conversation, holding share: Int) {
        wake(budget.forget(ObjectIdentifier(conversation), holding: share))
        renewBudget()
    }

    private func wake(_ name: ObjectIdentifier?) {
        guard let name, let conversation = conversations[name] else { return }
        loop.execute { conversation.shareIsFree() }
    }

    var tooLong: WireError {
        WireError(.lineTooLong, "the line is longer than limits.line_bytes_max, \(settings.lineBytesMax) bytes")
    }

    func timedOut(_ conversation: Conversation) {
        events.clientRefused(reason: WireErrorName.timeout.rawValue)
        let message = "the line was not whole after limits.line_seconds_max"
        conversation.end(with: WireError(.timeout, message))
    }

    // MARK: Drain

    static let draining = WireError(.draining, "maild is stopping; connect again", retryAfter: 1)
    private static let closed = WireError(
        .draining, "an operator lets the queue run empty; try again later", retryAfter: 10)
    /// Lines that are on their way when the drain begins are answered; whoever writes later is cut off.
    private static let drainGrace = TimeAmount.milliseconds(200)

    /// Refuses jobs from now on (true), or takes them again; connections stay.
    /// - Returns: how it was before.
    package func close(_ closed: Bool) -> Bool {
        loop.assertInEventLoop()
        defer { isClosed = closed }
        return isClosed
    }

    /// Takes no more jobs and ends all connections, each after its answers; `done` when the last is gone. The listening
    /// socket itself is systemd's: who connects now waits in it for the next start.
    package func drain(done: @escaping @Sendable () -> Void) {
        loop.assertInEventLoop()
        isDraining = true
        whenEmpty = done
        for server in servers { server.close(promise: nil) }
        loop.scheduleTask(in: Self.drainGrace) { [self] in
            outcomes.giveUp()
            for conversation in conversations.values { conversation.end(with: nil) }
            endIfEmpty()
        }
    }

    private func endIfEmpty() {
        guard isDraining, conversations.isEmpty, let done = whenEmpty else { return }
        whenEmpty = nil
        done()
    }
}

extension Intake: ReceiptSink {
    /// On the writer's thread: hops once a commit. On the loop where that has stood in for the writer.
    package func committed(_ chunks: [Chunk]) {
        if loop.inEventLoop { return answered(chunks) }
        loop.execute { [self] in answered(chunks) }
    }
}
