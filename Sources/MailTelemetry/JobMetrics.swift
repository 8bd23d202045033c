// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import MailJob

/// Jobs from their acceptance to their end, by kind. What is told of each queue too is in `QueueMetrics`.
final class JobMetrics: Sendable {
    /// The errors of docs/protocol.md.
    static let errors = [
        "parse_error", "line_too_long", "invalid_job", "unknown_type", "conflict", "permission_denied",
        "quota_exceeded", "queue_full",
        "read_only", "draining", "timeout", "internal",
    ]
    static let outcomes: [JobState] = [.delivered, .failed, .expired, .cancelled]

    /// By kind.
    let deduplicated: [Counter]
    /// By error.
    let rejected: [String: Counter]
    let rejectedOtherwise: Counter
    /// By kind, then by result.
    let attempts: [[Counter]]
    let duration: [[Histogram]]
    /// By kind, then by outcome.
    let endToEnd: [[Histogram]]
    /// By kind.
    let putOff: [Counter]
    let recovered: Counter
    let crashed: Counter
    /// By what operators did.
    let operated: [WatchedEvent.Name: Counter]

    init(_ registry: Registry, kinds: [String]) {
        let results = AttemptResult.allCases.map(\.name)
        let outcomes = Self.outcomes.map(\.name)
        let rejectedFamily = registry.counters(
            "maild_jobs_rejected_total", "Submitted lines answered with an error.", labels: ["reason"])
        let deduplicatedFamily = registry.counters(
            "maild_jobs_deduplicated_total", "Submissions that repeated an earlier one's idempotency key.",
            labels: ["type"])
        let attemptsFamily = registry.counters(
            "maild_job_attempts_total", "Attempts that ended, by their result.", labels: ["type", "result"])
        let durationFamily = registry.histograms(
            "maild_job_duration_seconds", "Length of an attempt, by its result.", labels: ["type", "result"],
            buckets: Ladder.attempt)
        let endToEndFamily = registry.histograms(
            "maild_job_end_to_end_seconds", "Time from acceptance to the job's end.", labels: ["type", "outcome"],
            buckets: Ladder.life)
        recovered = registry.counter("maild_jobs_recovered_total", "Unfinished jobs found at the start.")
        crashed = registry.counter(
            "maild_jobs_crashed_total", "Jobs that were in hand when the daemon before this one died.")
        let operatedFamily = registry.counters(
            "maild_jobs_operated_total", "Jobs that operators changed, by what they did.", labels: ["verb"])
        let verbs: [(WatchedEvent.Name, String)] = [
            (.held, "hold"), (.released, "release"), (.retried, "retry"), (.cancelled, "cancel"), (.purged, "purge"),
        ]
        operated = Dictionary(uniqueKeysWithValues: verbs.map { ($0, operatedFamily.with($1)) })
        let putOffFamily = registry.counters(
            "maild_jobs_put_off_total", "Times a job was put off untried, because no relay took its mail.",
            labels: ["type"])
        putOff = kinds.map { putOffFamily.with($0) }
        deduplicated = kinds.map { deduplicatedFamily.with($0) }
        rejected = Dictionary(uniqueKeysWithValues: Self.errors.map { ($0, rejectedFamily.with($0)) })
        rejectedOtherwise = rejectedFamily.with("other")
        attempts = kinds.map { kind in results.map { attemptsFamily.with(kind, $0) } }
        duration = kinds.map { kind in results.map { durationFamily.with(kind, $0) } }
        endToEnd = kinds.map { kind in outcomes.map { endToEndFamily.with(kind, $0) } }
    }
}
