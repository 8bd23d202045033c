// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What the sender of a mail wants to hear from the servers on its way (RFC 3461); a server that does not offer DSN
/// is not asked.
package struct DSNRequest: Hashable, Sendable {
    package struct Occasions: OptionSet, Hashable, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let success = Occasions(rawValue: 1)
        package static let failure = Occasions(rawValue: 2)
        package static let delay = Occasions(rawValue: 4)
    }

    package enum Content: String, Sendable, CaseIterable {
        case full, headers
    }

    /// Empty: never. nil: as the server does by itself.
    package var notify: Occasions?
    /// How much of the message comes back with a notice of failure.
    package var content: Content?
    /// Comes back with each notice: printable ASCII, in xtext at most `Limits.envelopeIDBytesMax` octets.
    package var envelopeID: String?

    package init(notify: Occasions? = nil, content: Content? = nil, envelopeID: String? = nil) {
        self.notify = notify
        self.content = content
        self.envelopeID = envelopeID
    }
}
