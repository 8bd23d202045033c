// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition
import MailTelemetry

/// A feed's numbers for Prometheus. Each carries the feed's name, for several may be scraped as one job.
final class FeedMetrics: Sendable {
    private let registry = Registry()
    private let feed: String
    private let connected: Gauge
    private let maildConnected: Gauge
    private let paused: Gauge
    private let lag: Family<Gauge>
    private let unanswered: Gauge
    private let unsettled: Gauge
    private let consumed: Counter
    private let redelivered: Counter
    private let accepted: Counter
    private let duplicates: Counter
    private let rejected: Family<Counter>
    private let buried: Counter
    private let acknowledged: Counter
    private let settled: Family<Counter>
    private let published: Counter
    private let pauses: Counter
    private let reconnects: Counter

    init(feed: String, kind: String, version: String) {
        self.feed = feed
        let registry = registry
        func gauge(_ name: String, _ help: String) -> Gauge {
            registry.gauges("maild_feed_\(name)", help, labels: ["feed"]).with(feed)
        }
        func counter(_ name: String, _ help: String) -> Counter {
            registry.counters("maild_feed_\(name)_total", help, labels: ["feed"]).with(feed)
        }
        registry.gauges("maild_feed_info", "1, labelled with the kind of broker.", labels: ["feed", "kind", "version"])
            .with(feed, kind, version).set(1)
        connected = gauge("connected", "Whether there is a session with the broker (1).")
        maildConnected = gauge("maild_connected", "Whether there is a connection to maild (1).")
        paused = gauge("paused", "Whether maild takes no jobs for the moment (1): queue_full, read_only.")
        lag = registry.gauges(
            "maild_feed_lag_messages", "Messages upstream that nobody was given yet, where the broker tells.",
            labels: ["feed"])
        unanswered = gauge("unanswered", "Messages that maild has not answered yet.")
        unsettled = gauge("unsettled", "Jobs whose outcome is awaited.")
        consumed = counter("consumed", "Messages that the broker handed over.")
        redelivered = counter("redelivered", "Of these, those that it had handed over before.")
        accepted = counter("accepted", "Messages that are jobs in maild's spool.")
        duplicates = counter("duplicates", "Of these, those that maild knew already by their idempotency key.")
        rejected = registry.counters(
            "maild_feed_rejected_total", "Messages that are no job, by maild's error.", labels: ["feed", "error"])
        buried = counter("dead_letters", "Messages that were put to the dead letters upstream.")
        acknowledged = counter("acknowledged", "Messages of which the broker was told that they are dealt with.")
        settled = registry.counters(
            "maild_feed_settled_total", "Jobs whose outcome is known, by state.", labels: ["feed", "state"])
        published = counter("outcomes_published", "Events of outcomes that the broker has taken.")
        pauses = counter("pauses", "How often maild took no jobs for the moment.")
        reconnects = counter("disconnects", "Sessions with the broker that were lost.")
        ProcessMetrics.register(in: registry)
    }

    /// One call at a time.
    func render(_ standing: Feeder.Standing, _ format: TextFormat, into bytes: inout [UInt8]) {
        connected.set(standing.isConnected)
        maildConnected.set(standing.isLinked)
        paused.set(standing.pause != nil)
        if let messages = standing.lag { lag.with(feed).set(messages) }
        unanswered.set(standing.unanswered)
        unsettled.set(standing.unsettled)
        let counts = standing.counts
        for (counter, total) in [
            (consumed, counts.consumed), (redelivered, counts.redelivered), (accepted, counts.accepted),
            (duplicates, counts.duplicates), (buried, counts.buried), (acknowledged, counts.acknowledged),
            (published, counts.published), (pauses, counts.pauses), (reconnects, standing.reconnects),
        ] {
            counter.reach(total)
        }
        for (error, total) in counts.rejected { rejected.with(feed, error).reach(total) }
        for (state, total) in counts.ended { settled.with(feed, state).reach(total) }
        registry.render(format, into: &bytes)
    }
}

extension Counter {
    /// `total` only grows; whatever is new of it is added.
    fileprivate func reach(_ total: Int) { add(total - Int(value)) }
}
