// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Which fields of one message are signed, and what of them is hashed.
struct SignedFields {
    /// Named once more than they are there (RFC 6376 §8.15), so that nobody can add another one that a reader sees.
    private static let always: [StaticString] = [
        "from", "reply-to", "subject", "to", "cc", "date", "message-id",
    ]
    /// The same where they are there; a relay may add them to a message that has none.
    private static let sealedWherePresent: [StaticString] = [
        "sender", "mime-version", "content-type", "content-transfer-encoding", "in-reply-to", "references",
    ]
    /// RFC 6376 §5.4.1: as often as they are there. RFC 8058 §4: both List-Unsubscribe fields are under the signature.
    private static let wherePresent: [StaticString] = [
        "list-unsubscribe", "list-unsubscribe-post", "list-id", "list-help", "list-subscribe", "list-post",
        "list-owner", "list-archive", "auto-submitted", "feedback-id", "content-id", "content-description",
        "content-disposition", "resent-from", "resent-sender", "resent-to", "resent-cc", "resent-date",
        "resent-message-id",
    ]

    /// For h=, in the order of `canonical`.
    private(set) var names: [StaticString] = []
    /// The fields in relaxed form, a CRLF after each (RFC 6376 §3.7).
    private(set) var canonical: [UInt8] = []

    init(_ header: SignedHeader) {
        canonical.reserveCapacity(min(header.bodyStart, 64 << 10))
        for name in Self.always {
            add(name, of: header)
            names.append(name)
        }
        for name in Self.sealedWherePresent where add(name, of: header) { names.append(name) }
        for name in Self.wherePresent { add(name, of: header) }
    }

    /// Whether there is one.
    @discardableResult
    private mutating func add(_ name: StaticString, of header: SignedHeader) -> Bool {
        let before = names.count
        for field in header.fields(named: name) {
            names.append(name)
            SignedHeader.appendRelaxed(
                name: header.bytes[field.name], value: header.bytes[field.value], to: &canonical)
            canonical.append(0x0D)
            canonical.append(0x0A)
        }
        return names.count > before
    }
}
