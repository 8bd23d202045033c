// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition

/// The spool.
final class StoreMetrics: Sendable {
    let bytes: Gauge
    let commitSeconds: Histogram
    let commitRows: Histogram
    let errors: Counter

    init(_ registry: Registry) {
        bytes = registry.gauge("maild_store_bytes", "Size of the spool.")
        commitSeconds = registry.histogram(
            "maild_store_commit_seconds", "Length of a transaction with its fsync.", buckets: Ladder.commit)
        commitRows = registry.histogram(
            "maild_store_commit_batch_jobs", "Rows made durable by one transaction.", buckets: Ladder.rows,
            unit: .one)
        errors = registry.counter("maild_store_errors_total", "What the spool could not do.")
    }
}
