// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// What an endpoint is asked, with the secrets as their files have them at this moment.
struct OAuthQuestion: Sendable {
    /// The form.
    let body: [UInt8]
    /// The one in the form; nil where the client stands for itself.
    let refreshToken: Secret?
    /// The configured one.
    let ancestor: Secret?
    /// The same by the configured refresh token, where a later one was used.
    private let olderBody: [UInt8]?

    /// - Parameter unkept: a later refresh token that is on no shelf.
    init(_ settings: OAuthSettings, _ shelf: TokenShelf, _ unkept: RefreshToken?) throws(SecretFileError) {
        let secret = try settings.clientSecret?.secret()
        let configured = try settings.refreshToken?.secret()
        var later: Secret?
        if let configured {
            later = unkept?.ancestor == configured ? unkept?.token : try shelf.read(ancestor: configured)
        }
        ancestor = configured
        refreshToken = later ?? configured
        body = Self.form(settings, secret, refreshToken)
        olderBody = later == nil ? nil : Self.form(settings, secret, configured)
    }

    private init(older: OAuthQuestion, body: [UInt8]) {
        self.body = body
        refreshToken = older.ancestor
        ancestor = older.ancestor
        olderBody = nil
    }

    var older: OAuthQuestion? { olderBody.map { OAuthQuestion(older: self, body: $0) } }

    /// RFC 6749 §6 with a refresh token, §4.4.2 without. The client's secret goes into the form, which §2.3.1 allows
    /// and every endpoint that is in use takes.
    private static func form(_ settings: OAuthSettings, _ secret: Secret?, _ refreshToken: Secret?) -> [UInt8] {
        let grant = refreshToken == nil ? "client_credentials" : "refresh_token"
        var fields: [(name: String, value: [UInt8])] = [
            ("grant_type", Array(grant.utf8)), ("client_id", Array(settings.clientID.utf8)),
        ]
        if let secret { fields.append(("client_secret", secret.bytes)) }
        if let refreshToken { fields.append(("refresh_token", refreshToken.bytes)) }
        if let scope = settings.scope { fields.append(("scope", Array(scope.utf8))) }
        return FormEncoding.bytes(fields)
    }
}

/// One that an endpoint gave, and the configured one that it descends from.
struct RefreshToken: Sendable {
    var token: Secret
    var ancestor: Secret
}
