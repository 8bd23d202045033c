// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailJob
import MailTransport
import NIOCore
import Synchronization

// The keys `oauth_…` of a `[relay.NAME]`.

extension OAuthSettings {
    /// Brings the others about.
    static let firstKey = "oauth_token_url"

    init(_ reader: ConfigurationReader, _ table: [String], user: String) throws(ConfigurationError) {
        let key = table + [Self.firstKey]
        guard let url = try reader.url(key) else { throw reader.error(key, "is missing") }
        // RFC 6749 §3.2: secrets go there.
        guard url.isSecure || Loopback.contains(url.host) else {
            throw reader.error(key, "must begin with https://, for secrets go there")
        }
        var client = ""
        try reader.read(table + ["oauth_client_id"], into: &client, wanted: "a name") { $0.isEmpty ? nil : $0 }
        guard !client.isEmpty else { throw reader.error(table + ["oauth_client_id"], "is missing") }
        self.init(url: url, clientID: client)
        clientSecret = try reader.privateFile(named: "oauth_client_secret", in: table)
        refreshToken = try reader.privateFile(named: "oauth_refresh_token", in: table)
        self.key = try reader.privateFile(named: "oauth_key", in: table)
        guard clientSecret != nil || refreshToken != nil || self.key != nil else {
            throw reader.error(
                key, "needs oauth_refresh_token_file, oauth_client_secret_file or oauth_key_file, or …_credential")
        }
        if self.key != nil, clientSecret != nil || refreshToken != nil {
            throw reader.error(key, "has oauth_key_file, which excludes a refresh token and a client's secret")
        }
        subject = self.key == nil ? "" : user
        // RFC 6749 §3.3
        try reader.read(table + ["oauth_scope"], into: &scope, wanted: "words of ASCII with single blanks between") {
            $0.utf8.allSatisfy { 0x20...0x7E ~= $0 && $0 != 0x22 && $0 != 0x5C } && !$0.isEmpty ? .some(.some($0)) : nil
        }
        try reader.readPath(table + ["oauth_tls_roots"], into: &tlsRoots)
    }

    /// For comparing.
    var entries: [(String, String?)] {
        [
            (Self.firstKey, url.origin + url.target), ("oauth_client_id", clientID),
            ("oauth_client_secret", clientSecret.map { "\($0)" }),
            ("oauth_refresh_token", refreshToken.map { "\($0)" }), ("oauth_key", key.map { "\($0)" }),
            ("oauth_scope", scope),
            ("oauth_tls_roots", tlsRoots),
        ]
    }
}

/// The tokens of all relays that get theirs from an endpoint. They outlive a reload: a refresh token that is used twice
/// may be taken for stolen. What it gives is used on the delivery loop.
final class TokenVault: @unchecked Sendable {
    private struct Drawer: Hashable {
        var relay: String
        var settings: OAuthSettings
    }

    private let directory: String
    private let loop: any EventLoop
    private let drawers = Mutex<[Drawer: Kept]>([:])

    /// Of the delivery loop's own; the vault only hands it on.
    private struct Kept: @unchecked Sendable {
        let tokens: OAuthTokens
    }

    init(directory: String, loop: any EventLoop) {
        self.directory = directory
        self.loop = loop
    }

    /// nil where the relay needs none.
    func tokens(for relay: RelaySettings, _ observer: any OAuthObserver) throws(TLSFileError) -> OAuthTokens? {
        guard case .endpoint(let settings) = relay.login?.secret.place else { return nil }
        let drawer = Drawer(relay: relay.name, settings: settings)
        if let known = drawers.withLock({ $0[drawer] }) { return known.tokens }
        do throws(TLSFileError) {
            let trust = try HTTPTrust(roots: settings.tlsRoots)
            let shelf = TokenShelf(directory: directory, relay: relay.name)
            let tokens = OAuthTokens(settings, trust: trust, shelf: shelf, loop: loop, observer: observer)
            let kept = Kept(tokens: tokens)
            drawers.withLock { $0[drawer] = kept }
            return tokens
        } catch {
            throw TLSFileError(key: "oauth_tls_roots", reason: error.reason)
        }
    }

    /// The same, for whoever only asks: nil where mail takes no such relay yet.
    func known(for relay: RelaySettings) -> OAuthTokens? {
        guard case .endpoint(let settings) = relay.login?.secret.place else { return nil }
        return drawers.withLock { $0[Drawer(relay: relay.name, settings: settings)] }?.tokens
    }
}
