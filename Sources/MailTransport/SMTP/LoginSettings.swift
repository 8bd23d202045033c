// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

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

    func credential() throws(SecretFileError) -> Credential {
        Credential(user: user, secret: try secret.read(), kind: secret.kind, nonce: Credential.freshNonce())
    }
}

/// Where a password or a token is kept.
package struct SecretSource: Equatable, Sendable {
    package enum Place: Equatable, Sendable {
        /// An absolute path.
        case file(String)
        /// The name of a systemd credential (systemd.exec(5), LoadCredential=).
        case credential(String)
    }

    package var kind: Credential.Kind
    package var place: Place

    package init(kind: Credential.Kind, place: Place) {
        self.kind = kind
        self.place = place
    }

    /// The file's content without the line end that editors and `echo` put behind it.
    package func read() throws(SecretFileError) -> Secret {
        var bytes = try PrivateFile.content(of: path())
        if bytes.last == 0x0A { bytes.removeLast() }
        if bytes.last == 0x0D { bytes.removeLast() }
        guard !bytes.isEmpty else { throw SecretFileError(reason: "\(try path()) is empty") }
        return Secret(bytes)
    }

    private func path() throws(SecretFileError) -> String {
        switch place {
        case .file(let path): return path
        case .credential(let name):
            guard let directory = PrivateFile.credentialsDirectory else {
                throw SecretFileError(
                    reason: "there is no credential \(name): $CREDENTIALS_DIRECTORY is not set by systemd")
            }
            return "\(directory)/\(name)"
        }
    }
}
