// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailJob
import MailMessage
import MailTransport
import Secrets

/// One `[[dkim]]`: a key that signs the mail of a domain. The key was read with the file that names it.
package struct DKIMSettings: Equatable, Sendable {
    /// In ASCII and small letters.
    package var domain: String
    /// RFC 6376 §3.1: labels with dots between them.
    package var selector: String
    package var coversSubdomains = false
    package var source: PrivateFile
    package var key: DKIMKey

    /// Two keys with the same public half are the same.
    package static func == (left: DKIMSettings, right: DKIMSettings) -> Bool {
        left.domain == right.domain && left.selector == right.selector && left.source == right.source
            && left.coversSubdomains == right.coversSubdomains && left.key.record == right.key.record
    }
}

extension DKIMSettings {
    /// - Parameter path: of one `[[dkim]]`.
    init(_ reader: ConfigurationReader, _ path: [String]) throws(ConfigurationError) {
        var domain: String?
        try reader.read(path + ["domain"], into: &domain, wanted: "a domain name such as example.org") {
            Self.domain($0).map(Optional.some)
        }
        var selector: String?
        try reader.read(path + ["selector"], into: &selector, wanted: "letters, digits, hyphens and dots, such as s1") {
            Self.isSelector($0) ? .some($0.lowercased()) : nil
        }
        guard let domain else { throw reader.error(path + ["domain"], "is missing") }
        guard let selector else { throw reader.error(path + ["selector"], "is missing") }
        let (source, key) = try Self.key(reader, path)
        self.init(domain: domain, selector: selector, source: source, key: key)
        try reader.read(path + ["subdomains"], into: &coversSubdomains)
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
        _ reader: ConfigurationReader, _ table: [String]
    ) throws(ConfigurationError) -> (PrivateFile, DKIMKey) {
        let (file, credential) = (table + ["key_file"], table + ["key_credential"])
        guard reader.has(file) != reader.has(credential) else {
            let fault = reader.has(file) ? "excludes key_file" : "is missing, and key_credential too: one is needed"
            throw reader.error(reader.has(file) ? credential : file, fault)
        }
        let key = reader.has(file) ? file : credential
        let source = try reader.privateFile(key, isCredential: key == credential)
        return (source, try self.key(source, reader, key))
    }

    private static func key(
        _ source: PrivateFile, _ reader: ConfigurationReader, _ key: [String]
    ) throws(ConfigurationError) -> DKIMKey {
        let bytes: [UInt8]
        do throws(SecretFileError) {
            bytes = try source.content()
        } catch {
            throw reader.error(key, error.reason)
        }
        do {
            return try DKIMKey(pem: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw reader.error(key, "\((try? source.path()) ?? source.name) \(error)")
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
