// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import Secrets

/// `[webhook]`, and a hook for each `[webhook.NAME]`.
package struct WebhookSettings: KindSettings {
    package var client = HTTPClientSettings()
    /// Jobs at a time; nil: half of the workers.
    package var concurrencyMax: Int?
    /// A file of the authorities to trust in place of the system's, PEM.
    package var tlsRoots: String?
    /// In the order of their names.
    package var hooks: [HookSettings] = []

    package init() { client.policy = .publicOnly }
}

/// A place that jobs call by name or by a URL that begins with its own.
package struct HookSettings: Equatable, Sendable {
    package enum Address: Equatable, Sendable {
        case url(WebURL)
        /// A URL that is itself a secret.
        case kept(PrivateFile)
    }

    package var name: String
    package var address: Address
    /// It may be at an address of this machine or its networks: the operator has put it there.
    package var allowsPrivate = false
    /// Signs what is sent.
    package var secret: PrivateFile?
    package var signature = HookSignature.standard
    /// Sent as the field Authorization.
    package var authorization: PrivateFile?

    package init(name: String, address: Address) {
        self.name = name
        self.address = address
    }
}

/// What the settings name, read.
package struct WebhookPlan: Sendable {
    package struct Hook: Sendable {
        var name: String
        var url: WebURL
        var allowsPrivate: Bool
        var secret: Secret?
        var signature: HookSignature
        var authorization: Secret?
    }

    let settings: WebhookSettings
    let trust: HTTPTrust
    let hooks: [Hook]

    package init(_ settings: WebhookSettings) throws(SettingsFault) {
        self.settings = settings
        do throws(TLSFileError) {
            trust = try HTTPTrust(roots: settings.tlsRoots)
        } catch {
            throw SettingsFault(key: "webhook.tls_roots", reason: error.reason)
        }
        var hooks: [Hook] = []
        for hook in settings.hooks { hooks.append(try Self.read(hook)) }
        self.hooks = hooks
    }

    private static func read(_ hook: HookSettings) throws(SettingsFault) -> Hook {
        let key = "webhook.\(hook.name)"
        var read = Hook(
            name: hook.name, url: try url(hook, key), allowsPrivate: hook.allowsPrivate, signature: hook.signature)
        read.secret = try secret(hook.secret, "\(key).secret")
        read.authorization = try secret(hook.authorization, "\(key).authorization")
        // RFC 9110 §5.5: a line break would begin a field of its own.
        if let value = read.authorization, !value.isASCII {
            throw SettingsFault(key: "\(key).authorization", reason: "is not one line of ASCII characters")
        }
        return read
    }

    private static func url(_ hook: HookSettings, _ key: String) throws(SettingsFault) -> WebURL {
        switch hook.address {
        case .url(let url): return url
        case .kept(let file):
            let text = try secret(file, "\(key).url")?.bytes ?? []
            do throws(WebURLError) {
                return try WebURL(parsing: String(decoding: text, as: UTF8.self))
            } catch {
                let key = "\(key).url_\(file.place)"
                throw SettingsFault(key: key, reason: "the URL in \(file.name) \(error.reason)")
            }
        }
    }

    private static func secret(_ file: PrivateFile?, _ key: String) throws(SettingsFault) -> Secret? {
        guard let file else { return nil }
        do throws(SecretFileError) {
            return try file.secret()
        } catch {
            throw SettingsFault(key: "\(key)_\(file.place)", reason: error.reason)
        }
    }

    /// That which a job names, or whose URL its own begins with, the longest first.
    func hook(named name: String) -> Hook? { hooks.first { $0.name == name } }

    func hook(for url: WebURL) -> Hook? {
        hooks.filter { $0.url.covers(url) }.max { $0.url.target.utf8.count < $1.url.target.utf8.count }
    }
}
