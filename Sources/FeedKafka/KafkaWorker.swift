// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailFeed
import NIOCore

/// What the source's thread does, turn by turn. All on that thread.
final class KafkaWorker {
    let desk: any FeedDesk
    private let settings: KafkaSettings
    private let properties: KafkaProperties
    private var consumer: KafkaConsumer
    private let producer: KafkaProducer
    private var books = KafkaBooks()
    private var allowance = 0
    /// Since when nothing may be handed over; then partitions rest, so that librdkafka can be polled all the same.
    private var starving: NIODeadline?
    private var isResting = false
    /// Letters that could not be kept, with when they are tried again.
    private var again: [(letter: KafkaLetter, at: NIODeadline)] = []
    private var isConnected = false
    private var trouble: String?
    private var warned: String?
    private var nextCommit = NIODeadline.uptimeNanoseconds(0)
    private var wakes: CInt = -1
    /// After a consumer's end, when the next may be made.
    private var nextConsumer = NIODeadline.uptimeNanoseconds(0)
    var takeOrders: () -> [KafkaSource.Order] = { [] }
    /// There is more to read at once.
    private(set) var isBusy = false

    static let tickMilliseconds: CInt = 50
    /// What a revoked partition's last commit, and each step of the way down, may take.
    static let waitMilliseconds: CInt = 2000
    private static let batchMax = 512
    private static let commitEvery = TimeAmount.milliseconds(200)
    private static let restAfter = TimeAmount.seconds(1)
    private static let againAfter = TimeAmount.seconds(5)
    private static let renewEvery = TimeAmount.seconds(5)

    init(_ settings: KafkaSettings, _ properties: KafkaProperties, _ desk: any FeedDesk) throws(FeedFailure) {
        self.settings = settings
        self.desk = desk
        self.properties = properties
        consumer = try KafkaConsumer(settings, properties)
        producer = try KafkaProducer(settings, properties)
    }

    func begin(_ wakes: CInt) {
        self.wakes = wakes
        producer.reported = { [unowned self] in reported($0, $1) }
        producer.wake(wakes)
        subscribe()
    }

    private func subscribe() {
        consumer.assigned = { [unowned self] in assigned($0) }
        consumer.revoked = { [unowned self] in revoked(isLost: $0) }
        consumer.failed = { [unowned self] in trouble = $0 }
        consumer.told = { [unowned self] in told($0) }
        consumer.committed = { [unowned self] answers in
            for answer in answers { books.committed(answer.partition, answer.offset, succeeded: answer.succeeded) }
        }
        consumer.subscribe(wakes: wakes)
    }

    /// Returns whether there will be another one.
    func turn() -> Bool {
        var end: (@Sendable () -> Void)?
        for order in late + takeOrders() {
            if case .stop(let done) = order { end = done } else { follow(order) }
        }
        late = []
        if let end {
            close()
            end()
            return false
        }
        producer.poll()
        consumer.awaitCommit(milliseconds: 0)
        renew()
        rest()
        read()
        commit()
        sendAgain()
        return true
    }

    private func follow(_ order: KafkaSource.Order) {
        switch order {
        case .allow(let count): allowance += count
        case .acknowledge(let receipts):
            for receipt in receipts { books.done(group: receipt.group, Int64(receipt.number)) }
        case .bury(let letter): send(KafkaLetter(task: .bury(letter)))
        case .publish(let outcome): send(KafkaLetter(task: .publish(outcome)))
        case .stop: break
        }
    }

    // MARK: Reading

    /// Resting throws away what was read ahead, so a short shortage is sat out.
    private func rest() {
        let now = NIODeadline.now()
        if allowance > 0 {
            starving = nil
            if isResting { consumer.pause(false) }
            isResting = false
        } else if let since = starving {
            guard !isResting, since + Self.restAfter <= now else { return }
            isResting = true
            consumer.pause(true)
        } else {
            starving = now
        }
    }

    private func read() {
        var messages: [FeedMessage] = []
        isBusy = false
        reading: while allowance > messages.count || isResting {
            switch consumer.poll() {
            case .nothing: break reading
            case .error(let text): warn(text)
            case .message(let message): if let taken = take(message) { messages.append(taken) }
            }
            if messages.count == Self.batchMax {
                isBusy = true
                break
            }
        }
        // What was taken away within this very turn is somebody else's.
        messages.removeAll { !books.contains(group: $0.receipt.group) }
        guard !messages.isEmpty else { return }
        allowance = max(0, allowance - messages.count)
        warned = nil
        desk.arrived(messages)
    }

    private func take(_ message: KafkaConsumer.Message) -> FeedMessage? {
        guard let handover = books.began(message.partition, message.offset) else { return nil }
        if let ended = handover.ended { withdraw([ended]) }
        return FeedMessage(
            receipt: Receipt(group: handover.group, number: UInt64(message.offset)),
            identity: "\(settings.topic)/\(message.partition)/\(message.offset)", body: message.body,
            isRedelivered: handover.isRedelivered)
    }

    /// Once for each mistake: librdkafka tells a missing topic again and again.
    private func warn(_ text: String) {
        guard warned != text else { return }
        warned = text
        desk.warn("kafka: \(text)")
    }

    // MARK: Partitions come and go

    private func assigned(_ partitions: [Int32]) {
        books.assign(partitions)
        if isResting { consumer.pause(true) }
    }

    private func revoked(isLost: Bool) {
        // What was answered by now shall not be handed to somebody else.
        for order in takeOrders() {
            if case .stop = order { late.append(order) } else { follow(order) }
        }
        if !isLost { commitAndWait() }
        withdraw(books.revokeAll())
    }

    /// Orders that came while partitions were taken away, and are no matter of theirs.
    private var late: [KafkaSource.Order] = []

    private func withdraw(_ groups: [UInt64]) {
        for group in groups { desk.withdrawn(group: group) }
        again.removeAll { !books.contains(group: $0.letter.receipt.group) }
    }

    // MARK: Offsets

    private func commit() {
        let now = NIODeadline.now()
        guard now >= nextCommit, consumer.canCommit else { return }
        nextCommit = now + Self.commitEvery
        let commits = books.takeCommits()
        if !commits.isEmpty { consumer.commit(commits) }
    }

    private func commitAndWait() {
        consumer.awaitCommit(milliseconds: Self.waitMilliseconds)
        let commits = books.takeCommits()
        guard !commits.isEmpty, consumer.canCommit else { return }
        consumer.commit(commits)
        consumer.awaitCommit(milliseconds: Self.waitMilliseconds)
    }

    // MARK: A consumer's end

    /// librdkafka has consumers that will never work again. Another one begins where the group has committed; all that
    /// this one had comes again.
    private func renew() {
        guard let reason = consumer.end, NIODeadline.now() >= nextConsumer else { return }
        nextConsumer = .now() + Self.renewEvery
        withdraw(books.revokeAll())
        (isConnected, isResting, trouble) = (false, false, nil)
        desk.disconnected(reason)
        do throws(FeedFailure) {
            let next = try KafkaConsumer(settings, properties)
            consumer.abandon()
            consumer = next
            subscribe()
        } catch {
            warn(error.description)
        }
    }

    // MARK: Letters

    private func send(_ letter: KafkaLetter) {
        guard books.contains(group: letter.receipt.group) else { return }
        producer.send(letter)
    }

    private func reported(_ letter: KafkaLetter, _ report: KafkaProducer.Report) {
        switch (report, letter.task) {
        case (.kept, .bury): desk.buried([letter.receipt])
        case (.kept, .publish): desk.published([letter.receipt])
        case (.tooLong, .bury) where !letter.isWithoutBody:
            again.append((KafkaLetter(task: letter.task, isWithoutBody: true), .now()))
        case (.tooLong, _): postpone(letter, "the message is too long")
        case (.failed(let reason), _): postpone(letter, reason)
        }
    }

    private func postpone(_ letter: KafkaLetter, _ reason: String) {
        warn("cannot write to topic \(letter.topic(settings)): \(reason)")
        again.append((letter, .now() + Self.againAfter))
    }

    private func sendAgain() {
        guard !again.isEmpty else { return }
        let now = NIODeadline.now()
        let due = again.filter { $0.at <= now }
        again.removeAll { $0.at <= now }
        for entry in due { send(entry.letter) }
    }

    // MARK: The session

    private func told(_ statistics: KafkaStatistics) {
        desk.lag(statistics.lag)
        if statistics.isUp, !isConnected {
            isConnected = true
            trouble = nil
            desk.connected()
        } else if !statistics.isUp, isConnected || trouble != nil {
            isConnected = false
            desk.disconnected(trouble ?? "the group's coordinator is away")
            trouble = nil
        }
    }

    private func close() {
        let deadline = NIODeadline.now() + .milliseconds(Int64(Self.waitMilliseconds))
        while producer.underWay > 0, NIODeadline.now() < deadline { producer.poll(milliseconds: 50) }
        if isConnected { commitAndWait() }
        consumer.close(until: .now() + .milliseconds(Int64(Self.waitMilliseconds)))
    }
}
