// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Secrets

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
    init(
        _ settings: OAuthSettings, _ shelf: TokenShelf, _ unkept: RefreshToken?, now: WallTime
    ) throws(SecretFileError) {
        let secret = try settings.clientSecret?.secret()
        let configured = try settings.refreshToken?.secret()
        var later: Secret?
        if let configured {
            later = unkept?.ancestor == configured ? unkept?.token : try shelf.read(ancestor: configured)
        }
        ancestor = configured
        refreshToken = later ?? configured
        let assertion = try Self.assertion(settings, now: now)
        body = Self.form(settings, secret, refreshToken, assertion)
        olderBody = later == nil ? nil : Self.form(settings, secret, configured, nil)
    }

    private static func assertion(_ settings: OAuthSettings, now: WallTime) throws(SecretFileError) -> String? {
        guard let key = settings.key else { return nil }
        let assertion = try JWTAssertion(try key.content(), name: try key.path())
        return try assertion.text(
            issuer: settings.clientID, subject: settings.subject, audience: settings.url.origin + settings.url.target,
            scope: settings.scope, now: now)
    }

    private init(older: OAuthQuestion, body: [UInt8]) {
        self.body = body
        refreshToken = older.ancestor
        ancestor = older.ancestor
        olderBody = nil
    }

    var older: OAuthQuestion? { olderBody.map { OAuthQuestion(older: self, body: $0) } }

    /// The client's secret goes into the form, which RFC 6749 §2.3.1 allows and every endpoint that is in use takes.
    private static func form(
        _ settings: OAuthSettings, _ secret: Secret?, _ refreshToken: Secret?, _ assertion: String?
    ) -> [UInt8] {
        var fields: [(name: String, value: [UInt8])] = []
        if let assertion {
            fields.append(("grant_type", Array("urn:ietf:params:oauth:grant-type:jwt-bearer".utf8)))
            fields.append(("assertion", Array(assertion.utf8)))
        } else {
            let grant = refreshToken == nil ? "client_credentials" : "refresh_token"
            fields += [("grant_type", Array(grant.utf8)), ("client_id", Array(settings.clientID.utf8))]
        }
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
