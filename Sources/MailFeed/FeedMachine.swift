// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import NIOCore

/// What happens to messages between a broker and maild. No I/O: what comes about is told to it, and it says what is to
/// be done (`Effect`), in the order in which it is to be done.
///
/// A message is waiting, then written, then answered; with `ack = "settled"` it then waits for its job's end; then it
/// is acknowledged upstream and forgotten here. One that maild will never take goes to the dead letters first.
package struct FeedMachine {
    package enum Effect: Equatable {
        /// One line with its newline, to maild.
        case write([UInt8])
        /// maild said what it should not: the connection is to be made anew.
        case reconnect
        case acknowledge(Receipt)
        case bury(DeadLetter)
        case publish(FeedOutcome)
        /// What has become of the job? To be answered by `told`.
        case ask(job: String)
        /// The source may hand over so many more.
        case allow(Int)
        /// `resumed` is to be called after so many seconds.
        case resume(after: Double)
    }

    package struct Settings: Sendable {
        package var kind: String
        package var window: Int
        package var windowBytesMax: Int
        package var waitsForOutcome: Bool
        package var publishesOutcomes: Bool

        package init(
            kind: String, window: Int, windowBytesMax: Int = 64 << 20, waitsForOutcome: Bool = false,
            publishesOutcomes: Bool = false
        ) {
            self.kind = kind
            self.window = window
            self.windowBytesMax = windowBytesMax
            self.waitsForOutcome = waitsForOutcome
            self.publishesOutcomes = publishesOutcomes
        }
    }

    enum Stage: Equatable {
        case waiting, written
        /// Durable in maild's spool; its end is awaited.
        case accepted(job: String)
        case burying, publishing
    }

    struct Entry {
        var receipt: Receipt
        var identity: String
        var body: [UInt8]
        var line: FeedLine
        var stage = Stage.waiting
        /// Which of all writes was its last one.
        var write: UInt64 = 0

        var bytes: Int { body.count + line.bytes.count }
    }

    /// By the order of their arrival.
    typealias Serial = UInt64

    let settings: Settings
    package internal(set) var counts = FeedCounts()
    /// Why nothing is written for the moment; nil while lines are written.
    package internal(set) var pause: String?
    var entries: [Serial: Entry] = [:]
    var nextSerial: Serial = 0
    /// In the order of their arrival. What was refused for the moment, or lost with the connection, goes before.
    var again: CircularBuffer<Serial> = []
    var waiting: CircularBuffer<Serial> = []
    /// In the order of the lines on the connection, which is that of the answers. Those of withdrawn messages have no
    /// entry any more.
    var written: CircularBuffer<Serial> = []
    /// Those that are being buried or published.
    var upstream: [Receipt: Serial] = [:]
    var bytes = 0
    var credit = 0
    var isLinked = false
    var isStopping = false
    /// After a pause one line finds out whether it is over.
    var isProbing = false
    var writes: UInt64 = 0
    var watch = JobWatch()
    var answers = FeedAnswerReader()
    private var maker: FeedLineMaker
    private var effects: [Effect] = []

    package init(_ settings: Settings) {
        self.settings = settings
        maker = FeedLineMaker(kind: settings.kind, keepsMarks: settings.publishesOutcomes)
    }

    /// What is to be done since the last call.
    package mutating func takeEffects() -> [Effect] {
        var taken: [Effect] = []
        swap(&taken, &effects)
        return taken
    }

    package var unanswered: Int { again.count + waiting.count + written.count }
    package var unsettled: Int { watch.waiting }
    package var held: Int { entries.count }
    /// maild takes no jobs, or has not shown yet that it does again.
    package var isHeldUp: Bool { pause != nil || isProbing }

    mutating func effect(_ effect: Effect) { effects.append(effect) }

    // MARK: The broker's side

    /// The feed begins.
    package mutating func begin() { grant() }

    package mutating func arrived(_ messages: [FeedMessage]) {
        for message in messages { take(message) }
        pump()
        grant()
    }

    private mutating func take(_ message: FeedMessage) {
        credit = max(0, credit - 1)
        counts.consumed += 1
        if message.isRedelivered { counts.redelivered += 1 }
        let serial = nextSerial
        nextSerial += 1
        var entry = Entry(
            receipt: message.receipt, identity: message.identity, body: message.body, line: FeedLine(bytes: []))
        do throws(WireError) {
            entry.line = try maker.line(of: message.body, identity: message.identity)
        } catch {
            add(entry, serial)
            return bury(serial, Refusal(error))
        }
        add(entry, serial)
        waiting.append(serial)
    }

    private mutating func add(_ entry: Entry, _ serial: Serial) {
        entries[serial] = entry
        bytes += entry.bytes
    }

    /// The letter is kept upstream.
    package mutating func buried(_ receipts: [Receipt]) {
        for serial in serials(of: receipts, .burying) {
            counts.buried += 1
            finish(serial)
        }
        grant()
    }

    package mutating func published(_ receipts: [Receipt]) {
        for serial in serials(of: receipts, .publishing) {
            counts.published += 1
            finish(serial)
        }
        grant()
    }

    private mutating func serials(of receipts: [Receipt], _ stage: Stage) -> [Serial] {
        receipts.compactMap { receipt in
            guard let serial = upstream[receipt], entries[serial]?.stage == stage else { return nil }
            return serial
        }
    }

    /// The broker will hand these messages to somebody again; what maild answers of them is passed over.
    package mutating func withdrawn(group: UInt64) {
        for (serial, entry) in entries where entry.receipt.group == group {
            if case .accepted(let job) = entry.stage { watch.forget(job, serial) }
            remove(serial)
        }
        again.removeAll { entries[$0] == nil }
        waiting.removeAll { entries[$0] == nil }
        grant()
    }

    /// Takes and writes nothing more; what was written is still answered.
    package mutating func stop() { isStopping = true }

    /// Nothing is under way whose end would be worth waiting for.
    package var isQuiet: Bool { written.isEmpty && upstream.isEmpty }

    mutating func finish(_ serial: Serial) {
        guard let entry = remove(serial) else { return }
        counts.acknowledged += 1
        effect(.acknowledge(entry.receipt))
    }

    @discardableResult
    private mutating func remove(_ serial: Serial) -> Entry? {
        guard let entry = entries.removeValue(forKey: serial) else { return nil }
        bytes -= entry.bytes
        if upstream[entry.receipt] == serial { upstream[entry.receipt] = nil }
        return entry
    }

    /// Lets more come once an eighth of the window is free: many small reads would cost more than they bring.
    mutating func grant() {
        guard !isStopping, pause == nil, bytes < settings.windowBytesMax else { return }
        let room = settings.window - entries.count - credit
        guard room > 0, credit == 0 || room >= settings.window / 8 else { return }
        credit += room
        effect(.allow(room))
    }

    mutating func bury(_ serial: Serial, _ refusal: Refusal) {
        guard var entry = entries[serial] else { return }
        counts.rejected[refusal.error, default: 0] += 1
        entry.stage = .burying
        entries[serial] = entry
        upstream[entry.receipt] = serial
        effect(
            .bury(
                DeadLetter(
                    receipt: entry.receipt, identity: entry.identity, body: entry.body, error: refusal.error,
                    message: refusal.message, field: refusal.field)))
    }
}

/// What a feed has done since it began.
package struct FeedCounts: Equatable, Sendable {
    package var consumed = 0
    package var redelivered = 0
    package var accepted = 0
    /// Of these, those that maild knew already by their idempotency key.
    package var duplicates = 0
    /// By the error's name; these go to the dead letters.
    package var rejected: [String: Int] = [:]
    /// Dead letters that are kept upstream.
    package var buried = 0
    package var acknowledged = 0
    /// By how the jobs ended.
    package var ended: [String: Int] = [:]
    package var published = 0
    package var pauses = 0
}
