// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailMessage

/// One `[[dkim]]`: a key that signs the mail of a domain. The key was read with the file that names it.
package struct DKIMSettings: Equatable, Sendable {
    package enum Source: Equatable, Sendable {
        case file(String)
        /// Name of a systemd credential.
        case credential(String)
    }

    /// In ASCII and small letters.
    package var domain: String
    /// RFC 6376 §3.1: labels with dots between them.
    package var selector: String
    package var coversSubdomains = false
    package var source: Source
    package var key: DKIMKey

    /// Two keys with the same public half are the same.
    package static func == (left: DKIMSettings, right: DKIMSettings) -> Bool {
        left.domain == right.domain && left.selector == right.selector && left.source == right.source
            && left.coversSubdomains == right.coversSubdomains && left.key.record == right.key.record
    }
}

extension DKIMSettings {
    /// - Parameter name: `dkim[0]` for the first of the file.
    init(_ reader: ConfigurationReader, name: String) throws(ConfigurationError) {
        var domain: String?
        try reader.read([name, "domain"], into: &domain, wanted: "a domain name such as example.org") {
            Self.domain($0).map(Optional.some)
        }
        var selector: String?
        try reader.read([name, "selector"], into: &selector, wanted: "letters, digits, hyphens and dots, such as s1") {
            Self.isSelector($0) ? .some($0.lowercased()) : nil
        }
        guard let domain else { throw reader.error([name, "domain"], "is missing") }
        guard let selector else { throw reader.error([name, "selector"], "is missing") }
        let (source, key) = try Self.key(reader, name)
        self.init(domain: domain, selector: selector, source: source, key: key)
        try reader.read([name, "subdomains"], into: &coversSubdomains)
    }

    private static func domain(_ text: String) -> String? {
        do throws(IDNAError) {
            let name = try IDNA.ascii(text).lowercased()
            return HostPort.isDomain(name) ? name : nil
        } catch {
            return nil
        }
    }

    private static func isSelector(_ text: String) -> Bool {
        Array(text.utf8).withUnsafeBytes(Mailbox.isPlainDomain)
    }

    private static func key(
        _ reader: ConfigurationReader, _ name: String
    ) throws(ConfigurationError) -> (Source, DKIMKey) {
        let (file, credential) = ([name, "key_file"], [name, "key_credential"])
        guard reader.has(file) != reader.has(credential) else {
            let fault = reader.has(file) ? "excludes key_file" : "is missing, and key_credential too: one is needed"
            throw reader.error(reader.has(file) ? credential : file, fault)
        }
        var path = ""
        if reader.has(file) {
            try reader.readPath(file, into: &path)
            return (.file(path), try key(SecretFile(path: path), reader, file))
        }
        try reader.read(credential, into: &path, wanted: "the name of a systemd credential, without slashes") {
            SecretFile.isCredentialName($0) ? $0 : nil
        }
        guard let secret = SecretFile(credential: path) else {
            throw reader.error(credential, "names a credential, but maild was given none ($CREDENTIALS_DIRECTORY)")
        }
        return (.credential(path), try key(secret, reader, credential))
    }

    private static func key(
        _ secret: SecretFile, _ reader: ConfigurationReader, _ key: [String]
    ) throws(ConfigurationError) -> DKIMKey {
        do {
            return try DKIMKey(pem: try secret.text())
        } catch {
            throw reader.error(key, "\(secret.path) \(error)")
        }
    }
}

extension DKIMSigner {
    init(_ settings: [DKIMSettings]) {
        self.init(
            settings.map {
                DKIMEntry(
                    domain: $0.domain, selector: $0.selector, coversSubdomains: $0.coversSubdomains, key: $0.key)
            })
    }
}
