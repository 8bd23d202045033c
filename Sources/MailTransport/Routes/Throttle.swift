// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// How many mails at a time a relay is given: as many as come, until it asks to be spared.
///
/// A value without I/O. Each throttling reply halves the number, each good one adds a little, and so does time:
/// additive increase, multiplicative decrease. Below one it means a pause after each mail: 1/4 is one mail, then three
/// seconds of rest. Replies to mail that was sent before the last halving tell nothing new. Times are monotonic
/// seconds.
package struct Throttle: Equatable, Sendable {
    /// One mail in about a minute.
    package static let limitMin = 1.0 / 64
    /// Without any reply the limit grows by one in so many seconds.
    package static let recoverySeconds = 10.0
    /// Below one a good reply adds so much.
    private static let step = 0.25

    /// nil: as many as come.
    private var limit: Double?
    /// At this number nothing is left of the halvings.
    private var ceiling = 0.0
    private var grownAt = 0.0
    private var halvedAt = -Double.infinity
    private var restUntil = -Double.infinity

    package init() {}

    package var isActive: Bool { limit != nil }

    /// Mails at a time; nil where there is no limit.
    package mutating func limit(at now: Double) -> Double? {
        grow(at: now)
        return limit
    }

    /// Seconds until one more mail may go, beside `inFlight`; nil: not before one of these has ended.
    package mutating func wait(inFlight: Int, at now: Double) -> Double? {
        grow(at: now)
        guard let limit else { return 0 }
        if inFlight > 0 && Double(inFlight + 1) > limit { return nil }
        return max(0, restUntil - now)
    }

    /// The relay asked to be spared, in reply to a mail sent at `sentAt`, one of `inFlight`.
    package mutating func throttled(sentAt: Double, inFlight: Int, at now: Double) {
        grow(at: now)
        guard sentAt > halvedAt else { return rest(at: now) }
        let before = limit ?? Double(max(1, inFlight))
        if limit == nil { ceiling = max(before, 2) }
        limit = max(Self.limitMin, before / 2)
        halvedAt = now
        grownAt = now
        rest(at: now)
    }

    /// The relay took a mail.
    package mutating func succeeded(at now: Double) {
        grow(at: now)
        guard let limit else { return }
        raise(by: limit < 1 ? Self.step : 1 / limit)
        rest(at: now)
    }

    private mutating func grow(at now: Double) {
        guard limit != nil else { return }
        raise(by: max(0, now - grownAt) / Self.recoverySeconds)
        grownAt = max(grownAt, now)
    }

    private mutating func raise(by step: Double) {
        guard let limit else { return }
        self.limit = limit + step
        guard limit + step >= ceiling else { return }
        self.limit = nil
        restUntil = -.infinity
    }

    private mutating func rest(at now: Double) {
        guard let limit, limit < 1 else { return restUntil = -.infinity }
        restUntil = now + 1 / limit - 1
    }

    /// What a relay says to all of a mail's recipients when it wants less mail, or has had too much of ours.
    package static func isThrottling(_ reply: Reply) -> Bool {
        switch reply.code {
        case 421: true
        case 400..<500 where reply.enhanced.hasPrefix("4.7."): true
        // RFC 3463 §3.4: X.3.2, the system is not accepting messages. Others say what is wrong with the mail, or that
        // the connection broke.
        case 451, 454: reply.enhanced.isEmpty || reply.enhanced == "4.3.2"
        default: false
        }
    }
}

extension Outcome {
    /// The relay as a whole wants less: nobody got the mail, and somebody was told why.
    var isThrottled: Bool {
        var isThrottled = false
        for verdict in verdicts {
            switch verdict {
            case .delivered: return false
            case .deferred(let reply): if Throttle.isThrottling(reply) { isThrottled = true }
            case .rejected, .unknown: break
            }
        }
        return isThrottled
    }
}
