// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// All metrics of a program, in the order in which they were registered, and their exposition as text.
///
/// Names, types and label names are fixed at registration; a second registration of a name stops the program. What is
/// registered lives as long as the registry.
package final class Registry: Sendable {
    private struct State {
        var names: Set<String> = []
        var families: [@Sendable (inout SampleWriter) -> Void] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// `name` ends in `_total`, as Prometheus wants it of counters.
    package func counters(_ name: String, _ help: String, labels: [String], unit: Unit = .one) -> Family<Counter> {
        precondition(name.hasSuffix("_total"), "the counter \(name) must end in _total")
        return add(Family(name, help: help, type: .counter, labels: labels) { Counter(unit) })
    }

    package func counter(_ name: String, _ help: String, unit: Unit = .one) -> Counter {
        counters(name, help, labels: [], unit: unit).with()
    }

    package func gauges(_ name: String, _ help: String, labels: [String]) -> Family<Gauge> {
        add(Family(name, help: help, type: .gauge, labels: labels) { Gauge() })
    }

    package func gauge(_ name: String, _ help: String) -> Gauge { gauges(name, help, labels: []).with() }

    package func histograms(
        _ name: String, _ help: String, labels: [String], buckets: Buckets, unit: Unit = .seconds
    ) -> Family<Histogram> {
        add(Family(name, help: help, type: .histogram, labels: labels) { Histogram(buckets, unit) })
    }

    package func histogram(
        _ name: String, _ help: String, buckets: Buckets, unit: Unit = .seconds
    ) -> Histogram {
        histograms(name, help, labels: [], buckets: buckets, unit: unit).with()
    }

    /// A counter or gauge that is asked for at each scrape, on the scraping thread; nil leaves it out.
    package func computed(
        _ name: String, _ help: String, type: MetricType = .gauge, _ compute: @escaping @Sendable () -> Double?
    ) {
        precondition(type != .histogram, "\(name): a histogram cannot be computed")
        _ = add(Family(name, help: help, type: type, labels: []) { Computed(compute) }).with()
    }

    /// Appends all metrics to `bytes`. Takes no lock that recording would wait for.
    package func render(_ format: TextFormat = .prometheus, into bytes: inout [UInt8]) {
        let families = state.withLock { $0.families }
        // Taken out and put back, so that there is no second owner for whom the array would be copied.
        var taken: [UInt8] = []
        swap(&taken, &bytes)
        var writer = SampleWriter(format, appendingTo: taken)
        for write in families { write(&writer) }
        bytes = writer.finish()
    }

    private func add<Kind>(_ family: Family<Kind>) -> Family<Kind> {
        let suffixes = family.type == .histogram ? ["", "_bucket", "_sum", "_count"] : [""]
        state.withLock { state in
            for suffix in suffixes {
                let isNew = state.names.insert(family.name + suffix).inserted
                precondition(isNew, "\(family.name)\(suffix) is registered twice")
            }
            state.families.append { family.write(to: &$0) }
        }
        return family
    }
}
