// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// RFC 6698 §2.1: what a server's certificate must be, said in DNS.
package struct TLSARecord: Hashable, Sendable {
    package var usage: UInt8
    package var selector: UInt8
    package var matching: UInt8
    package var data: [UInt8]

    package init(usage: UInt8, selector: UInt8, matching: UInt8, data: [UInt8]) {
        self.usage = usage
        self.selector = selector
        self.matching = matching
        self.data = data
    }

    /// nil for what is no such record.
    package init?(_ wire: [UInt8]) {
        guard wire.count > 3 else { return nil }
        self.init(usage: wire[0], selector: wire[1], matching: wire[2], data: Array(wire[3...]))
    }
}
