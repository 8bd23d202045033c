// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailDispatch
import MailWire

/// One `[queue.NAME]`: how its jobs are served beside those of other queues.
package struct QueueSettings: Equatable, Sendable {
    /// 1 to 63 letters, digits, `-`, `_` and `.`; a metric's label.
    package var name: String
    package var weight = 1.0
    /// nil: as many as there are workers.
    package var concurrencyMax: Int?

    package init(name: String) { self.name = name }

    var rule: QueueRule { QueueRule(weight: weight, concurrencyMax: concurrencyMax) }
}

extension QueueSettings {
    init(_ reader: ConfigurationReader, name: String) throws(ConfigurationError) {
        let path = ["queue", name]
        self.init(name: name)
        try reader.read(path + ["weight"], into: &weight, Configuration.Ranges.queueWeight)
        guard reader.has(path + ["concurrency_max"]) else { return }
        var count = 0
        try reader.read(path + ["concurrency_max"], into: &count, Configuration.Ranges.workers)
        concurrencyMax = count
    }
}

extension Configuration {
    /// Of all that jobs may name: `default` is always there.
    var queueNames: [String] { ["default"] + queues.map(\.name).filter { $0 != "default" } }

    /// - Parameter numbers: the spool's, by name.
    func queueRules(_ numbers: [String: UInt16]) -> [UInt16: QueueRule] {
        var rules: [UInt16: QueueRule] = [:]
        for queue in queues { if let number = numbers[queue.name] { rules[number] = queue.rule } }
        return rules
    }
}
