// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Exposition

/// The spool.
final class StoreMetrics: Sendable {
    private let bytes: Gauge
    private let bodyBytes: Gauge
    private let bodyBytesMax: Gauge
    private let writable: Gauge
    let commitSeconds: Histogram
    let commitRows: Histogram
    let errors: Counter
    private let freeBytes: Gauge
    private let damagedJobs: Gauge
    let damaged: Counter

    init(_ registry: Registry) {
        bytes = registry.gauge("maild_store_bytes", "Size of the spool on disk.")
        bodyBytes = registry.gauge(
            "maild_store_jobs_bytes", "Bytes of all unfinished jobs, which spool.bytes_max bounds.")
        bodyBytesMax = registry.gauge("maild_store_jobs_bytes_max", "The bound spool.bytes_max.")
        writable = registry.gauge(
            "maild_store_writable", "Whether the spool takes jobs (1), or the disk is full or refuses writes (0).")
        commitSeconds = registry.histogram(
            "maild_store_commit_seconds", "Length of a transaction with its fsync.", buckets: Ladder.commit)
        commitRows = registry.histogram(
            "maild_store_commit_batch_jobs", "Rows made durable by one transaction.", buckets: Ladder.rows,
            unit: .one)
        errors = registry.counter("maild_store_errors_total", "What the spool could not do.")
        freeBytes = registry.gauge(
            "maild_store_free_bytes", "What the spool's file system has left for maild; 0 where it is on none.")
        damagedJobs = registry.gauge("maild_store_damaged_jobs", "Jobs held because their rows are damaged.")
        damaged = registry.counter("maild_store_damaged_rows_total", "Damaged rows found since the start.")
    }

    func set(_ gauges: Gauges) {
        bytes.set(gauges.spoolBytes)
        bodyBytes.set(gauges.spoolBodyBytes)
        bodyBytesMax.set(gauges.spoolBytesMax)
        writable.set(gauges.spoolIsWritable)
        freeBytes.set(gauges.spoolFreeBytes)
        damagedJobs.set(gauges.damagedJobs)
    }
}
