// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What is recorded under one set of label values. Recording takes no lock and may come from any thread.
package protocol Instrument: AnyObject, Sendable {
    /// Appends the samples of the family `name`; `labels` are pairs, ready to write.
    func write(_ name: String, labels: [UInt8], to writer: inout SampleWriter)
}
