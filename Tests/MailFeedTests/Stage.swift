// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailFeed
import MailWire

/// A machine with hands for both sides of it: what is told to it, and what it wants done.
struct Stage {
    var machine: FeedMachine
    /// Lines that maild has and has not answered.
    private(set) var lines: [String] = []
    private(set) var acknowledged: [UInt64] = []
    private(set) var buried: [DeadLetter] = []
    private(set) var published: [FeedOutcome] = []
    private(set) var asked: [String] = []
    private(set) var allowed = 0
    private(set) var resumes: [Double] = []
    private(set) var reconnects = 0

    init(window: Int = 100, settled: Bool = false, outcomes: Bool = false, bytesMax: Int = 1 << 20) {
        machine = FeedMachine(
            FeedMachine.Settings(
                kind: "test", window: window, windowBytesMax: bytesMax, waitsForOutcome: settled,
                publishesOutcomes: outcomes))
        machine.begin()
        look()
    }

    static func message(_ number: UInt64, _ body: String? = nil, group: UInt64 = 0, again: Bool = false) -> FeedMessage
    {
        FeedMessage(
            receipt: Receipt(group: group, number: number), identity: "q/\(number)",
            body: Array((body ?? "{\"n\":\(number)}").utf8), isRedelivered: again)
    }

    mutating func arrive(_ numbers: ClosedRange<UInt64>, group: UInt64 = 0) {
        arrive(numbers.map { Self.message($0, group: group) })
    }

    mutating func arrive(_ messages: [FeedMessage]) { tell { $0.arrived(messages) } }

    mutating func tell(_ body: (inout FeedMachine) -> Void) {
        body(&machine)
        look()
    }

    mutating func open() { tell { $0.linkOpened() } }

    mutating func lose() {
        lines = []
        tell { $0.linkLost() }
    }

    /// maild answers the oldest line.
    mutating func answer(_ text: String) {
        if !lines.isEmpty { lines.removeFirst() }
        tell { $0.answered(Array(text.utf8)) }
    }

    mutating func accept(_ job: String, state: String = "ready", duplicate: Bool = false) {
        answer("{\"job\":\"\(job)\",\"state\":\"\(state)\"\(duplicate ? ",\"duplicate\":true" : "")}")
    }

    mutating func refuse(_ error: String, retryable: Bool, after: Int? = nil) {
        let wait = after.map { ",\"retry_after\":\($0)" } ?? ""
        answer("{\"error\":\"\(error)\",\"message\":\"why\",\"retryable\":\(retryable)\(wait)}")
    }

    private mutating func look() {
        for effect in machine.takeEffects() {
            switch effect {
            case .write(let line): lines.append(String(decoding: line, as: UTF8.self))
            case .reconnect: reconnects += 1
            case .acknowledge(let receipt): acknowledged.append(receipt.number)
            case .bury(let letter): buried.append(letter)
            case .publish(let outcome): published.append(outcome)
            case .ask(let job): asked.append(job)
            case .allow(let count): allowed += count
            case .resume(let seconds): resumes.append(seconds)
            }
        }
    }

    /// Numbers in the lines that maild has, `{"idempotency_key":…,"n":7}` being 7.
    var written: [Int] {
        lines.map { line in (try? JSONValue(parsing: line.dropLast()))?["n"]?.int ?? -1 }
    }

    mutating func forgetAsked() { asked = [] }
}
