// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailSpool
import MailTransport
import MailWire

/// What becomes of a job after an attempt: a function of its result, the clock and the configured patience.
package struct Judgement: Equatable, Sendable {
    package var state: JobState
    package var dueAt: WallTime?
    /// Attempts that have ended, this one included where it was one.
    package var attempts: Int

    /// - Parameters:
    ///   - notBefore: seconds from now in which there is no other attempt.
    ///   - chance: 0 up to 1, for the retry's jitter; drawn where there is one, for it is a call of the system.
    package init(
        _ job: WaitingJob, _ fates: [Fate], now: WallTime, retry: RetrySchedule, notBefore: Double = 0,
        chance: @autoclosure () -> Double
    ) {
        attempts = job.attempts + 1
        guard fates.contains(.open) else {
            state = fates.contains(.rejected) ? .failed : .delivered
            return
        }
        let chance = chance()
        // What one server sent away with one word does not come back in one instant.
        let asked = notBefore * (1 + RetrySchedule.jitter * chance)
        let due = now + max(retry.wait(afterAttempts: attempts, chance: chance), asked)
        let isOut = job.attemptsMax > 0 && attempts >= job.attemptsMax
        // No attempt is begun after expires_at: waiting for one that would be too late helps nobody.
        state = isOut || due >= job.expiresAt ? .failed : .scheduled
        dueAt = state == .scheduled ? due : nil
    }

    /// Nothing was tried, for no fault of the job's: no attempt is used up, and it waits for as long as it may.
    package init(_ job: WaitingJob, waitsFor seconds: Double, now: WallTime) {
        attempts = job.attempts
        state = .scheduled
        // When expires_at comes first the job is looked at then, and ends.
        dueAt = min(now + max(seconds, Self.waitSecondsMin), job.expiresAt)
    }

    /// Its row is damaged: nothing was tried.
    private init(holding job: WaitingJob) {
        attempts = job.attempts
        state = .held
    }

    /// Nobody is called again within the instant, whatever a transport says.
    private static let waitSecondsMin = 0.05

    package init(
        _ job: WaitingJob, _ result: WorkResult, now: WallTime, retry: RetrySchedule, chance: @autoclosure () -> Double
    ) {
        if result.damage != nil {
            self.init(holding: job)
        } else if let putOff = result.putOff, result.isWaitingOnly {
            self.init(job, waitsFor: putOff.seconds, now: now)
        } else {
            self.init(
                job, result.fates, now: now, retry: retry, notBefore: result.notBefore ?? 0, chance: chance())
        }
    }
}

extension Settlement {
    package init(
        _ job: WaitingJob, _ result: WorkResult, _ judgement: Judgement, began: WallTime, now: WallTime, seconds: Double
    ) {
        var history: [UInt8] = []
        if let damage = result.damage { Self.writeDamage(damage, at: began, to: &history) }
        // A job that only waits would grow a line with every probe of its relay.
        if result.damage == nil, result.putOff == nil || !result.tried.isEmpty {
            history.reserveCapacity(160 + 128 * result.tried.count)
            AttemptRecord.write(
                to: &history, at: began, milliseconds: Int(seconds * 1000), relay: result.relay, peer: result.peer,
                tls: result.tls, sender: result.sender, ref: result.ref, traceparent: result.trace?.parent,
                tried: result.tried)
        }
        self.init(
            id: job.id, was: job.state, state: judgement.state, dueAt: judgement.dueAt, endedAt: now, kind: job.kind,
            uid: job.uid, queue: job.queue, isKeyed: job.isKeyed, attempts: judgement.attempts,
            fates: judgement.state.isFinal ? nil : result.damage == nil ? result.fates : job.fates,
            history: history, bytes: job.length)
        damage = result.damage
        claim = job.claim
    }

    private static func writeDamage(_ reason: String, at time: WallTime, to history: inout [UInt8]) {
        history.put("{\"at\":")
        history.putJSON(time.milliseconds)
        history.put(",\"event\":\"damaged\",\"reason\":")
        history.putJSON(reason)
        history.put("}\n")
    }

    /// A job whose time ran out while it waited: expired where no attempt was ever made, else a dead letter.
    package init(outOfTime job: WaitingJob, now: WallTime) {
        self.init(
            id: job.id, was: job.state, state: job.attempts == 0 ? .expired : .failed, endedAt: now, kind: job.kind,
            uid: job.uid, queue: job.queue, isKeyed: job.isKeyed, attempts: job.attempts, fates: job.fates, history: [],
            bytes: job.length)
        claim = job.claim
    }
}
