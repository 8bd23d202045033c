// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Synchronization

/// The latest jobs that failed for good, for the page: what, where and by which reply, and nobody's address.
package final class RecentFailures: Sendable {
    package struct Failure: Equatable, Sendable {
        package var at: WallTime
        package var job: JobID
        package var kind: String
        /// Empty where the mail came to none.
        package var relay: String
        package var code: Int
        /// Enhanced status code (RFC 3463); empty where there is none.
        package var enhanced: String
    }

    /// As many as a screen shows.
    package static let countMax = 10
    private let kept = Mutex<[Failure]>([])

    /// The latest first.
    package var latest: [Failure] { kept.withLock { $0.reversed() } }

    func add(_ failure: Failure) {
        kept.withLock { kept in
            if kept.count == Self.countMax { kept.removeFirst() }
            kept.append(failure)
        }
    }
}

extension Events {
    /// - Parameter verdicts: of the last attempt.
    func remember(
        _ job: JobID, kind: Int, relay: String, _ verdicts: [Trial]
    ) {
        let worst = verdicts.first { if case .rejected = $0.verdict { true } else { false } } ?? verdicts.first
        failures.add(
            RecentFailures.Failure(
                at: clock.now(), job: job, kind: kinds[kind], relay: relay, code: worst?.verdict.reply.code ?? 0,
                enhanced: worst?.verdict.reply.enhanced ?? ""))
    }
}
