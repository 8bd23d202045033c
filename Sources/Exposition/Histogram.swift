// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The upper bounds of a histogram's buckets, rising, without the last one, which is infinite.
package struct Buckets: Sendable {
    package let bounds: [Double]
    /// The bucket's pair of each bound and of infinity.
    let labels: [[UInt8]]

    package init(_ bounds: [Double]) {
        precondition(!bounds.isEmpty && bounds.allSatisfy(\.isFinite), "a histogram needs finite bounds")
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "a histogram's bounds rise")
        self.bounds = bounds
        labels = (bounds + [.infinity]).map { bound in
            // As a float in any case ("1.0"): OpenMetrics asks for it, and one spelling keeps one series.
            SampleWriter.pairs(["le"], [bound.isInfinite ? "+Inf" : bound.description])
        }
    }

    /// `count` bounds from `start` on, each `factor` times the one before.
    package init(from start: Double, times factor: Double, count: Int) {
        var bounds: [Double] = []
        var bound = start
        for _ in 0..<count {
            bounds.append(bound)
            bound *= factor
        }
        self.init(bounds)
    }
}

/// How often which amounts were seen, in buckets, with their sum.
package final class Histogram: Instrument {
    private let buckets: Buckets
    private let unit: Unit
    /// One for each bound and one for what lies above; not cumulative. The pointer never changes and leads to atomics
    /// only, hence safe from any thread.
    private nonisolated(unsafe) let counts: UnsafeMutablePointer<Atomic<UInt64>>
    private let sum = Atomic<UInt64>(0)

    init(_ buckets: Buckets, _ unit: Unit) {
        self.buckets = buckets
        self.unit = unit
        counts = .allocate(capacity: buckets.labels.count)
        for index in buckets.labels.indices { (counts + index).initialize(to: Atomic(0)) }
    }

    deinit {
        counts.deinitialize(count: buckets.labels.count)
        counts.deallocate()
    }

    /// An amount below zero, or that is no number, counts as zero.
    package func observe(_ amount: Double) {
        var index = 0
        while index < buckets.bounds.count, amount > buckets.bounds[index] { index += 1 }
        counts[index].wrappingAdd(1, ordering: .relaxed)
        sum.wrappingAdd(unit.steps(amount), ordering: .relaxed)
    }

    package var total: (count: UInt64, sum: Double) {
        let count = buckets.labels.indices.reduce(0) { $0 &+ counts[$1].load(ordering: .relaxed) }
        return (count, unit.amount(sum.load(ordering: .relaxed)))
    }

    /// `_count` is the sum of the buckets as they were written, so that a scrape agrees with itself.
    package func write(_ name: String, labels: [UInt8], to writer: inout SampleWriter) {
        var cumulative: UInt64 = 0
        for (index, bucket) in buckets.labels.enumerated() {
            cumulative &+= counts[index].load(ordering: .relaxed)
            writer.sample(name, suffix: "_bucket", labels: labels, bucket: bucket, Double(cumulative))
        }
        writer.sample(name, suffix: "_sum", labels: labels, unit.amount(sum.load(ordering: .relaxed)))
        writer.sample(name, suffix: "_count", labels: labels, Double(cumulative))
    }
}
