// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import NIOCore
import NIOSSL

/// A stream's consumer. Two connections: one that waits for entries (XREADGROUP blocks it), one for all else.
final class RedisSource: FeedSource, @unchecked Sendable {
    let settings: RedisSettings
    private let login: RedisLogin
    private let tls: NIOSSLContext?
    private let desk: any FeedDesk
    private let loop: any EventLoop
    private var backoff = Backoff()
    /// Both, or none.
    private var sessions: (reading: RedisSession, writing: RedisSession)?
    private var generation = 0
    private var isStopped = false
    private var allowance = 0
    private var isReading = false
    /// Where in our own pending entries the reading stands; nil once they are all with us.
    private var pendingFrom: StreamID? = StreamID(milliseconds: 0, number: 0)
    /// Handed over and not acknowledged, with when that was told to Redis last.
    private var held: [StreamID: NIODeadline] = [:]
    private var outbox = RedisOutbox()
    private var claimFrom = "0-0"
    private var timer: RepeatedTask?
    private var ticks = 0
    private var ticksPerClaim = 1
    private var stopped: (@Sendable () -> Void)?

    /// An entry a job: some milliseconds of maild's.
    private static let readMax = 512
    private static let blockMilliseconds = 5000
    private static let claimMax = 100
    private static let lagSeconds = 2.0
    private static let againSeconds: Int64 = 5

    init(
        _ settings: RedisSettings, login: RedisLogin, tls: NIOSSLContext?, desk: any FeedDesk, on loop: any EventLoop
    ) {
        self.settings = settings
        self.login = login
        self.tls = tls
        self.desk = desk
        self.loop = loop
    }

    var isMoving: Bool { true }

    // MARK: Connecting

    func start() { connect() }

    private func connect() {
        guard !isStopped else { return }
        generation += 1
        let generation = generation
        let lost: (String) -> Void = { [weak self] in self?.lost($0, generation) }
        RedisSession.open(settings, login, tls, on: loop, closed: lost) { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let error): lost(error.description)
            case .success(let reading):
                RedisSession.open(settings, login, tls, on: loop, closed: lost) { [weak self] result in
                    switch result {
                    case .failure(let error):
                        reading.close()
                        lost(error.description)
                    case .success(let writing): self?.opened(reading, writing, generation)
                    }
                }
            }
        }
    }

    private func opened(_ reading: RedisSession, _ writing: RedisSession, _ generation: Int) {
        guard generation == self.generation, reading.isOpen, !isStopped else {
            reading.close()
            return writing.close()
        }
        let make = ["XGROUP", "CREATE", settings.stream, settings.group, settings.start, "MKSTREAM"]
        sessions = (reading, writing)
        writing.send(make) { [weak self] reply in
            guard let self, generation == self.generation else { return }
            if case .error(let text) = reply, !text.hasPrefix("BUSYGROUP") { return lost(text, generation) }
            began(writing)
        }
    }

    private func began(_ writing: RedisSession) {
        desk.connected()
        isReading = false
        // What was on its way to us when the last connection broke is pending with us.
        pendingFrom = StreamID(milliseconds: 0, number: 0)
        outbox.sendAgain { [self] in send($0) }
        read()
        let rhythm = min(settings.claimIdleSeconds / 3, Self.lagSeconds)
        ticks = 0
        ticksPerClaim = max(1, Int(settings.claimIdleSeconds / 3 / rhythm))
        timer = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(Int64(rhythm * 1000))) {
            [weak self] _ in
            guard let self else { return }
            askLag()
            if ticks % ticksPerClaim == 0 { keepAndClaim() }
            ticks += 1
        }
    }

    private func lost(_ reason: String, _ generation: Int) {
        guard generation == self.generation else { return }
        self.generation += 1
        sessions?.reading.close()
        sessions?.writing.close()
        sessions = nil
        timer?.cancel()
        timer = nil
        desk.disconnected(reason)
        if let stopped { return finish(stopped) }
        guard !isStopped else { return }
        let wait = backoff.next(chance: .random(in: 0..<1))
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(Int64(wait * 1000))) { bound.value.connect() }
    }

    /// A server that says no to what it must grant (READONLY, LOADING, NOGROUP after a FLUSHALL) is tried anew.
    private func refused(_ text: String) { lost(text, generation) }

    // MARK: Reading

    func allow(_ count: Int) {
        allowance += count
        read()
    }

    private func read() {
        guard let reading = sessions?.reading, !isReading, allowance > 0, !isStopped else { return }
        isReading = true
        let count = "\(min(allowance, Self.readMax))"
        let head = ["XREADGROUP", "GROUP", settings.group, settings.consumer, "COUNT", count]
        let from = pendingFrom
        // History does not block, and new entries are waited for.
        let block = from == nil ? ["BLOCK", "\(Self.blockMilliseconds)"] : []
        reading.send(head + block + ["STREAMS", settings.stream, from?.description ?? ">"]) { [weak self] reply in
            guard let self else { return }
            isReading = false
            if case .error(let text) = reply { return refused(text) }
            backoff.succeeded()
            let entries = StreamEntry.entries(reply: reply)
            if from != nil { pendingFrom = entries.last?.id }
            take(entries, isRedelivered: from != nil)
            read()
        }
    }

    private func take(_ entries: [StreamEntry], isRedelivered: Bool) {
        var messages: [FeedMessage] = []
        for entry in entries where held[entry.id] == nil {
            // Deleted while it was pending: there is nothing to send, and nothing to wait for.
            guard entry.fields != nil else {
                outbox.acknowledge([entry.id])
                continue
            }
            held[entry.id] = .now()
            messages.append(
                FeedMessage(
                    receipt: entry.id.receipt, identity: "\(settings.stream)/\(entry.id)",
                    body: entry.body(field: settings.field) ?? [], isRedelivered: isRedelivered))
        }
        flush()
        guard !messages.isEmpty else { return }
        allowance -= messages.count
        desk.arrived(messages)
    }

    // MARK: Answering

    func acknowledge(_ receipts: [Receipt]) {
        outbox.acknowledge(receipts.map { StreamID($0) })
        flush()
    }

    func bury(_ letter: DeadLetter) {
        outbox.bury(letter)
        flush()
    }

    func publish(_ outcome: FeedOutcome) {
        outbox.publish(outcome)
        flush()
    }

    private func flush() {
        guard sessions != nil else { return }
        while let errand = outbox.next() { send(errand) }
    }

    private func send(_ errand: RedisErrand) {
        guard let writing = sessions?.writing else { return }
        for (place, command) in errand.commands(settings, at: SystemClock().now()).enumerated() {
            // The first reply decides: an entry that cannot be deleted beside its acknowledgement does no harm.
            writing.send(command) { [weak self] reply in
                guard place == 0 else { return }
                self?.replied(reply, to: errand)
            }
        }
    }

    private func replied(_ reply: RESPValue, to errand: RedisErrand) {
        if case .error(let text) = reply { return failed(errand, text) }
        outbox.done(errand)
        switch errand.task {
        case .acknowledge(let ids): for id in ids { held[id] = nil }
        case .bury(let letter): desk.buried([letter.receipt])
        case .publish(let outcome): desk.published([outcome.receipt])
        }
        flush()
        if let stopped, outbox.isEmpty { finish(stopped) }
    }

    /// One stream that cannot be written (of the wrong type, or out of memory) must not hold up the others.
    private func failed(_ errand: RedisErrand, _ text: String) {
        guard text.hasPrefix("WRONGTYPE") || text.hasPrefix("OOM") || text.hasPrefix("NOPERM") else {
            return refused(text)
        }
        desk.warn("cannot write to \(errand.stream(settings)): \(text)")
        let generation = generation
        let bound = NIOLoopBound((self, errand), eventLoop: loop)
        loop.scheduleTask(in: .seconds(Self.againSeconds)) {
            let (source, errand) = bound.value
            // Over a new connection it has been told again already.
            if generation == source.generation { source.send(errand) }
        }
    }

    // MARK: From time to time

    private func askLag() {
        guard let writing = sessions?.writing else { return }
        writing.send(["XINFO", "GROUPS", settings.stream]) { [weak self] reply in
            guard let self, let group = reply.array?.first(where: { $0["name"]?.text == self.settings.group }) else {
                return
            }
            desk.lag(group["lag"]?.int)
        }
    }

    /// Tells Redis that what has been with us for long still is, so that no other consumer takes it over; then takes
    /// over what others have left.
    private func keepAndClaim() {
        guard let writing = sessions?.writing else { return }
        let now = NIODeadline.now()
        let third = TimeAmount.milliseconds(Int64(settings.claimIdleSeconds * 1000 / 3))
        let old = held.filter { $0.value + third <= now }.map(\.key).sorted()
        for first in stride(from: 0, to: old.count, by: 1000) {
            let ids = old[first..<min(first + 1000, old.count)]
            for id in ids { held[id] = now }
            let head = ["XCLAIM", settings.stream, settings.group, settings.consumer, "0"]
            writing.send(head + ids.map(\.description) + ["JUSTID"]) { _ in }
        }
        guard allowance > 0, !isStopped else { return }
        let idle = "\(Int(settings.claimIdleSeconds * 1000))"
        let count = "\(min(allowance, Self.claimMax))"
        let claim = [
            "XAUTOCLAIM", settings.stream, settings.group, settings.consumer, idle, claimFrom, "COUNT", count,
        ]
        writing.send(claim) { [weak self] reply in
            guard let self, let parts = reply.array, parts.count >= 2 else { return }
            claimFrom = parts[0].text ?? "0-0"
            take(parts[1].array?.compactMap { StreamEntry($0) } ?? [], isRedelivered: true)
            if claimFrom != "0-0" { keepAndClaim() }
        }
    }

    // MARK: The way down

    /// A server that does not answer is not waited for longer than this.
    private static let goodbyeSeconds: Int64 = 2

    func stop(done: @escaping @Sendable () -> Void) {
        isStopped = true
        guard sessions != nil, !outbox.isEmpty else { return finish(done) }
        stopped = done
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .seconds(Self.goodbyeSeconds)) {
            if let stopped = bound.value.stopped { bound.value.finish(stopped) }
        }
    }

    private func finish(_ done: @escaping @Sendable () -> Void) {
        stopped = nil
        generation += 1
        timer?.cancel()
        sessions?.reading.close()
        sessions?.writing.close()
        sessions = nil
        done()
    }
}
