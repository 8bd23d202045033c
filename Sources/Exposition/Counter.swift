// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A number that only grows, from zero at the start of the process.
package final class Counter: Instrument {
    private let steps = Atomic<UInt64>(0)
    private let unit: Unit

    init(_ unit: Unit) { self.unit = unit }

    /// Adds a whole number of the counter's steps: of units, or of nanoseconds where the unit is seconds.
    package func add(_ amount: Int = 1) {
        guard amount > 0 else { return }
        steps.wrappingAdd(UInt64(amount), ordering: .relaxed)
    }

    package func add(seconds: Double) { steps.wrappingAdd(unit.steps(seconds), ordering: .relaxed) }

    package var value: Double { unit.amount(steps.load(ordering: .relaxed)) }

    package func write(_ name: String, labels: [UInt8], to writer: inout SampleWriter) {
        writer.sample(name, labels: labels, value)
    }
}
