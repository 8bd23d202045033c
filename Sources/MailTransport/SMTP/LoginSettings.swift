// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import Secrets

/// How to log in to a relay; the secret itself stays in its file until a session needs it.
package struct LoginSettings: Equatable, Sendable {
    package var user: String
    package var secret: SecretSource
    /// nil: the strongest that the server offers.
    package var mechanism: SASLName?

    package init(user: String, secret: SecretSource, mechanism: SASLName? = nil) {
        self.user = user
        self.secret = secret
        self.mechanism = mechanism
    }

    func credential(_ token: BearerToken) -> Credential {
        var credential = Credential(user: user, secret: token.secret, kind: .token, nonce: Credential.freshNonce())
        credential.isKept = token.isKept
        return credential
    }

    func credential() throws(SecretFileError) -> Credential {
        Credential(user: user, secret: try secret.read(), kind: secret.kind, nonce: Credential.freshNonce())
    }
}

/// Where a password or a token comes from.
package struct SecretSource: Equatable, Sendable {
    package enum Place: Equatable, Sendable {
        case kept(PrivateFile)
        /// Asked for over HTTPS: `OAuthTokens` does it, and `read` cannot.
        case endpoint(OAuthSettings)

        /// An absolute path.
        package static func file(_ path: String) -> Place { .kept(.file(path)) }
        /// The name of a systemd credential.
        package static func credential(_ name: String) -> Place { .kept(.credential(name)) }
    }

    package var kind: Credential.Kind
    package var place: Place

    package init(kind: Credential.Kind, place: Place) {
        self.kind = kind
        self.place = place
    }

    package func read() throws(SecretFileError) -> Secret {
        switch place {
        case .kept(let file): try file.secret()
        case .endpoint(let endpoint): throw SecretFileError(reason: "nobody asks \(endpoint.url) for a token")
        }
    }
}
