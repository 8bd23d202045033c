// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailWire

/// One thing to tell Redis, and what it was for.
struct RedisErrand {
    enum Task {
        case acknowledge([StreamID])
        case bury(DeadLetter)
        case publish(FeedOutcome)
    }

    var number: UInt64
    var task: Task

    func stream(_ settings: RedisSettings) -> String {
        switch task {
        case .acknowledge: settings.stream
        case .bury: settings.deadStream
        case .publish: settings.outcomeStream ?? ""
        }
    }

    func commands(_ settings: RedisSettings, at time: WallTime) -> [[UInt8]] {
        switch task {
        case .acknowledge(let ids):
            let names = ids.map(\.description)
            let acknowledge = RESPCommand.bytes(["XACK", settings.stream, settings.group] + names)
            guard settings.deletesAcknowledged else { return [acknowledge] }
            return [acknowledge, RESPCommand.bytes(["XDEL", settings.stream] + names)]
        case .bury(let letter):
            var words = Self.add(settings.deadStream, entriesMax: settings.deadEntriesMax)
            for (name, value) in [
                ("error", letter.error), ("message", letter.message), ("field", letter.field),
                ("source", letter.identity), ("at", time.rfc3339),
            ] where !value.isEmpty {
                words += [Array(name.utf8), Array(value.utf8)]
            }
            words += [Array(settings.field.utf8), letter.body]
            return [RESPCommand.bytes(words)]
        case .publish(let outcome):
            let words = Self.add(settings.outcomeStream ?? "", entriesMax: settings.outcomeEntriesMax)
            let body = outcome.json(feed: settings.consumer, at: time.rfc3339)
            return [RESPCommand.bytes(words + [Array("outcome".utf8), body])]
        }
    }

    /// `~`: Redis trims whole nodes, which costs next to nothing.
    private static func add(_ stream: String, entriesMax: Int) -> [[UInt8]] {
        ["XADD", stream, "MAXLEN", "~", "\(entriesMax)", "*"].map { Array($0.utf8) }
    }
}

/// What was not told Redis yet, or not answered by it: over a new connection it is told again.
struct RedisOutbox {
    private var number: UInt64 = 0
    private var waiting: [RedisErrand.Task] = []
    private var acknowledgements: [StreamID] = []
    /// One XACK is under way; what comes meanwhile goes with the next. Redis may sync its log for each of them.
    private var isAcknowledging = false
    private var sent: [UInt64: RedisErrand] = [:]

    /// Ids in one XACK.
    private static let idsMax = 1000

    var isEmpty: Bool { waiting.isEmpty && acknowledgements.isEmpty && sent.isEmpty }

    mutating func acknowledge(_ ids: [StreamID]) { acknowledgements += ids }
    mutating func bury(_ letter: DeadLetter) { waiting.append(.bury(letter)) }
    mutating func publish(_ outcome: FeedOutcome) { waiting.append(.publish(outcome)) }

    /// What to send now; it stays until it is `done`.
    mutating func next() -> RedisErrand? {
        let task: RedisErrand.Task
        if !waiting.isEmpty {
            task = waiting.removeFirst()
        } else if !acknowledgements.isEmpty, !isAcknowledging {
            isAcknowledging = true
            task = .acknowledge(Array(acknowledgements.prefix(Self.idsMax)))
            acknowledgements.removeFirst(min(Self.idsMax, acknowledgements.count))
        } else {
            return nil
        }
        number += 1
        let errand = RedisErrand(number: number, task: task)
        sent[number] = errand
        return errand
    }

    mutating func done(_ errand: RedisErrand) {
        sent[errand.number] = nil
        if case .acknowledge = errand.task { isAcknowledging = false }
    }

    /// After a connection was lost: what it has left open, in the order in which it was sent, then the rest.
    mutating func sendAgain(_ send: (RedisErrand) -> Void) {
        for errand in sent.values.sorted(by: { $0.number < $1.number }) { send(errand) }
        while let errand = next() { send(errand) }
    }
}
