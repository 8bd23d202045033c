// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Metrics of one name that differ in their label values.
package final class Family<Kind: Instrument>: Sendable {
    private struct Child {
        let values: [String]
        let pairs: [UInt8]
        let instrument: Kind
        var isShown: Bool
    }

    package let name: String
    let help: String
    let type: MetricType
    private let labels: [String]
    private let make: @Sendable () -> Kind
    private let children = Mutex<[Child]>([])

    init(_ name: String, help: String, type: MetricType, labels: [String], make: @escaping @Sendable () -> Kind) {
        precondition(MetricName.isMetric(name), "\(name) is no name for a metric")
        for label in labels {
            precondition(MetricName.isLabel(label) && label != "le", "\(name): \(label) is no name for a label")
        }
        self.name = name
        self.help = help
        self.type = type
        self.labels = labels
        self.make = make
    }

    /// The instrument of these label values, made at zero where it is new. Takes a lock: to be asked once and kept.
    ///
    /// - Parameter hidden: a new one is not exposed until `show`.
    package func with(_ values: String..., hidden: Bool = false) -> Kind { with(values, hidden: hidden) }

    package func with(_ values: [String], hidden: Bool = false) -> Kind {
        precondition(values.count == labels.count, "\(name) has the labels \(labels)")
        return children.withLock { children in
            if let child = children.first(where: { $0.values == values }) { return child.instrument }
            let child = Child(
                values: values, pairs: SampleWriter.pairs(labels, values), instrument: make(), isShown: !hidden)
            children.append(child)
            return child.instrument
        }
    }

    /// Exposes an instrument that was made hidden.
    package func show(_ values: [String]) {
        children.withLock { children in
            for index in children.indices where children[index].values == values { children[index].isShown = true }
        }
    }

    /// A family without a shown child keeps silent.
    func write(to writer: inout SampleWriter) {
        let shown = children.withLock { $0.filter(\.isShown) }
        guard !shown.isEmpty else { return }
        writer.head(name: name, help: help, type: type)
        for child in shown { child.instrument.write(name, labels: child.pairs, to: &writer) }
    }
}
