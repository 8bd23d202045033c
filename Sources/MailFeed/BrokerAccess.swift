// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import NIOCore
import NIOPosix
import NIOSSL
import Secrets

/// What every kind asks of the keys that lead to a broker: where it is, whether by TLS, and who we are there.
package struct BrokerAccess: Sendable, Equatable {
    package var isTLS = false
    package var tlsRoots: String?
    package var tlsCertificate: String?
    package var tlsKey: String?
    package var user: String?
    package var password: PrivateFile?

    package static let keys = [
        "tls", "tls_roots", "tls_certificate", "tls_key", "user", "password_file", "password_credential",
    ]

    /// - Parameter table: the kind's.
    package init(_ reader: ConfigurationReader, _ table: String) throws(ConfigurationError) {
        try reader.read([table, "tls"], into: &isTLS)
        for (name, path) in [
            ("tls_roots", \Self.tlsRoots), ("tls_certificate", \Self.tlsCertificate), ("tls_key", \Self.tlsKey),
        ] as [(String, WritableKeyPath<Self, String?>)] where reader.has([table, name]) {
            var value = ""
            try reader.readPath([table, name], into: &value)
            self[keyPath: path] = value
            guard isTLS else { throw reader.error([table, name], "is for TLS, which tls = true switches on") }
        }
        guard (tlsCertificate == nil) == (tlsKey == nil) else {
            let there = tlsCertificate == nil ? "tls_key" : "tls_certificate"
            throw reader.error([table, there], "tls_certificate and tls_key belong together")
        }
        try readLogin(reader, table)
    }

    private mutating func readLogin(_ reader: ConfigurationReader, _ table: String) throws(ConfigurationError) {
        if reader.has([table, "user"]) {
            var name = ""
            try reader.read([table, "user"], into: &name, wanted: "a name") { $0.isEmpty ? nil : $0 }
            user = name
        }
        if reader.has([table, "password_file"]) {
            var path = ""
            try reader.readPath([table, "password_file"], into: &path)
            password = .file(path)
        }
        if reader.has([table, "password_credential"]) {
            guard password == nil else {
                throw reader.error([table, "password_credential"], "there is a password_file too; one is enough")
            }
            var name = ""
            try reader.read([table, "password_credential"], into: &name, wanted: "a credential's name") {
                PrivateFile.isCredentialName($0) ? $0 : nil
            }
            password = .credential(name)
        }
    }

    /// nil where there is none.
    package func readPassword(_ table: String) throws(FeedFailure) -> String? {
        guard let password else { return nil }
        do throws(SecretFileError) {
            return String(decoding: try password.secret().bytes, as: UTF8.self)
        } catch {
            throw .configuration("\(table).password_\(password.place): \(error.reason)")
        }
    }

    /// For a kind that speaks TLS by SwiftNIO; nil without TLS.
    package func context(_ table: String) throws(FeedFailure) -> NIOSSLContext? {
        guard isTLS else { return nil }
        var settings = TLSConfiguration.makeClientConfiguration()
        settings.minimumTLSVersion = .tlsv12
        do {
            if let tlsRoots { settings.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(tlsRoots)) }
            if let tlsCertificate, let tlsKey {
                settings.certificateChain = try NIOSSLCertificate.fromPEMFile(tlsCertificate).map { .certificate($0) }
                settings.privateKey = .privateKey(try NIOSSLPrivateKey(file: tlsKey, format: .pem))
            }
            return try NIOSSLContext(configuration: settings)
        } catch {
            throw .configuration("\(table).tls: the files cannot be used: \(Reason.of(error))")
        }
    }
}
