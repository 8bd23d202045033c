// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A number that is set to whatever is true now.
package final class Gauge: Instrument {
    private let bits = Atomic<UInt64>(0)

    init() {}

    package func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    package func set(_ value: Int) { set(Double(value)) }

    package func set(_ value: Bool) { set(value ? 1.0 : 0.0) }

    package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    package func write(_ name: String, labels: [UInt8], to writer: inout SampleWriter) {
        writer.sample(name, labels: labels, value)
    }
}

/// A number that is asked for at each scrape; left out of a scrape that gets no answer.
final class Computed: Instrument {
    private let compute: @Sendable () -> Double?

    init(_ compute: @escaping @Sendable () -> Double?) { self.compute = compute }

    func write(_ name: String, labels: [UInt8], to writer: inout SampleWriter) {
        if let value = compute() { writer.sample(name, labels: labels, value) }
    }
}
