// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Secrets

/// Who we say we are, for one login.
package struct Credential: Sendable {
    package enum Kind: Sendable { case password, token }

    package var user: String
    package var secret: Secret
    package var kind: Kind
    /// Of printable ASCII without commas, never used before (RFC 5802 §5.1).
    package var nonce: String
    /// A token that served an earlier login: it may have been withdrawn since, and another one may be had.
    package var isKept = false

    package init(user: String, secret: Secret, kind: Kind, nonce: String) {
        self.user = user
        self.secret = secret
        self.kind = kind
        self.nonce = nonce
    }

    /// 24 characters of 144 random bits.
    package static func freshNonce() -> String {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        return String((0..<24).map { _ in alphabet[Int(random.next(upperBound: UInt64(64)))] })
    }
}
