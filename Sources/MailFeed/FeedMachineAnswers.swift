// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailWire
import NIOCore

/// Why maild does not take a line.
struct Refusal: Equatable {
    var error: String
    var message: String
    var field = ""
    var isRetryable: Bool
    /// Seconds; nil where maild does not say.
    var retryAfter: Double?

    init(_ error: WireError) {
        self.error = error.name.rawValue
        message = error.message
        field = error.field ?? ""
        isRetryable = error.retryable
        retryAfter = error.retryAfter.map(Double.init)
    }

    /// An answer; nil where it is none. A maild of another version may have errors that are new to us.
    init?(_ answer: JSONValue) {
        guard let error = answer["error"]?.string else { return nil }
        self.error = error
        message = answer["message"]?.string ?? ""
        field = answer["field"]?.string ?? ""
        isRetryable = answer["retryable"]?.bool ?? false
        retryAfter = answer["retry_after"]?.double
    }
}

// maild's side.
extension FeedMachine {
    /// A pause of maild's own length, within reason: a feed that sleeps for an hour looks dead.
    private static let pauseSeconds = 0.1...30.0
    private static let pauseSecondsDefault = 1.0

    /// There is a connection to maild's socket.
    package mutating func linkOpened() {
        isLinked = true
        pump()
    }

    /// What was written and not answered is written again, over the next connection: the key makes that safe.
    package mutating func linkLost() {
        isLinked = false
        let lost = written.filter { entries[$0] != nil }
        for serial in lost { entries[serial]?.stage = .waiting }
        again = CircularBuffer((again + lost).sorted())
        written.removeAll()
    }

    /// One line of maild's, without its newline.
    package mutating func answered(_ bytes: [UInt8]) {
        guard let answer = try? JSONValue(parsing: bytes) else { return effect(.reconnect) }
        let serial = written.popFirst()
        if let serial, let write = entries[serial]?.write { watch.answered(write: write) }
        if let job = answer["job"]?.string {
            isProbing = false
            if let serial { accepted(serial, job, answer) }
        } else if let refusal = Refusal(answer) {
            refused(serial, refusal)
        } else {
            return effect(.reconnect)
        }
        pump()
        grant()
    }

    private mutating func accepted(_ serial: Serial, _ job: String, _ answer: JSONValue) {
        guard let entry = entries[serial] else { return }
        counts.accepted += 1
        if answer["duplicate"]?.bool == true { counts.duplicates += 1 }
        guard settings.waitsForOutcome else { return finish(serial) }
        if let state = answer["state"]?.string, JobEnd.states.contains(state) {
            return ended(serial, job, JobEnd(state: state))
        }
        if let end = watch.earlyEnd(of: job) { return ended(serial, job, end) }
        let before = entry.bytes
        entries[serial]?.stage = .accepted(job: job)
        // The job is maild's now: its text is not needed again, only what the outcome's event will say.
        entries[serial]?.body = []
        entries[serial]?.line.bytes = []
        bytes -= before
        if watch.add(job, serial, write: entry.write) { effect(.ask(job: job)) }
    }

    private mutating func refused(_ serial: Serial?, _ refusal: Refusal) {
        guard refusal.isRetryable else {
            if let serial { bury(serial, refusal) }
            return
        }
        if let serial, entries[serial] != nil {
            entries[serial]?.stage = .waiting
            putBack(serial)
        }
        guard pause == nil else { return }
        pause = refusal.error
        counts.pauses += 1
        let wait = refusal.retryAfter ?? Self.pauseSecondsDefault
        effect(.resume(after: min(max(wait, Self.pauseSeconds.lowerBound), Self.pauseSeconds.upperBound)))
    }

    /// In the order of arrival, whatever was refused meanwhile.
    private mutating func putBack(_ serial: Serial) {
        if let first = again.first, serial < first { return again.prepend(serial) }
        again.append(serial)
        if again.count > 1, again[again.index(again.endIndex, offsetBy: -2)] > serial {
            again = CircularBuffer(again.sorted())
        }
    }

    /// The pause is over.
    package mutating func resumed() {
        pause = nil
        isProbing = true
        pump()
        grant()
    }

    mutating func pump() {
        guard isLinked, !isStopping else { return }
        while pause == nil, !isProbing || written.isEmpty, let serial = again.popFirst() ?? waiting.popFirst() {
            guard let entry = entries[serial] else { continue }
            writes += 1
            entries[serial]?.stage = .written
            entries[serial]?.write = writes
            written.append(serial)
            effect(.write(entry.line.bytes))
        }
    }
}
