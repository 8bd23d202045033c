// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import NIOCore

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
        guard let answer = answers.answer(bytes) else { return effect(.reconnect) }
        let serial = written.popFirst()
        if let serial, let write = entries[serial]?.write { watch.answered(write: write) }
        switch answer {
        case .accepted(let job, let state, let isDuplicate):
            isProbing = false
            if let serial { accepted(serial, job, state, isDuplicate) }
        case .refused(let refusal): refused(serial, refusal)
        }
        pump()
        grant()
    }

    private mutating func accepted(_ serial: Serial, _ job: String, _ state: String?, _ isDuplicate: Bool) {
        guard let entry = entries[serial] else { return }
        counts.accepted += 1
        if isDuplicate { counts.duplicates += 1 }
        guard settings.waitsForOutcome else { return finish(serial) }
        if let state, JobEnd.states.contains(state) {
            return ended(serial, job, JobEnd(state: state))
        }
        if let end = watch.earlyEnd(of: job) { return ended(serial, job, end) }
        let before = entry.bytes
        entries[serial]?.stage = .accepted(job: job)
        // The job is maild's now: its text is not needed again, only what the outcome's event will say.
        entries[serial]?.body = []
        entries[serial]?.line.bytes = []
        bytes -= before
        if watch.add(job, serial, write: entry.write, isDuplicate: isDuplicate) { effect(.ask(job: job)) }
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
