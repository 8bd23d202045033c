// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailJob
import MailTransport

extension BounceRule {
    /// `[bounces]`, each key optional.
    mutating func read(_ reader: ConfigurationReader) throws(ConfigurationError) {
        try reader.read(["bounces", "by_default"], into: &isWanted)
        try reader.read(["bounces", "from"], into: &from, wanted: "an address such as postmaster@example.org") {
            (try? Mailbox(parsing: $0)) == nil ? nil : .some($0)
        }
        try reader.read(["bounces", "return"], into: &returnsAll, wanted: "\"headers\" or \"full\"") {
            ["headers": false, "full": true][$0]
        }
    }

    var entries: [(String, String)] {
        [
            ("bounces.by_default", "\(isWanted)"), ("bounces.from", from ?? ""),
            ("bounces.return", returnsAll ? "full" : "headers"),
        ]
    }
}
