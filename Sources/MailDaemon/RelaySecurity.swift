// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailTransport
import Secrets

// `tls` and login of a `[relay.NAME]`. What could never work, or only in clear, is refused here.

extension RelaySettings {
    mutating func readTLS(_ reader: ConfigurationReader, _ path: [String]) throws(ConfigurationError) {
        tls = isMX ? .opportunistic : .usual(host: host, port: port)
        let policies = TLSPolicy.allCases.map(\.rawValue).joined(separator: ", ")
        try reader.read(path + ["tls"], into: &tls, wanted: "one of \(policies)") { TLSPolicy(rawValue: $0) }
        try reader.readPath(path + ["tls_roots"], into: &tlsFiles.roots)
        try reader.readPath(path + ["tls_certificate"], into: &tlsFiles.certificate)
        try reader.readPath(path + ["tls_key"], into: &tlsFiles.key)
        for key in ["tls_roots", "tls_certificate", "tls_key"] where tls == .off && reader.has(path + [key]) {
            throw reader.error(path + [key], "is of no use with tls = \"off\"")
        }
        if tls == .opportunistic, tlsFiles.roots != nil {
            throw reader.error(
                path + ["tls_roots"], "is of no use with tls = \"opportunistic\", which verifies no certificate")
        }
        for (key, other) in [("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")]
        where reader.has(path + [key]) && !reader.has(path + [other]) {
            throw reader.error(path + [key], "needs \(other) as well")
        }
    }

    mutating func readLogin(_ reader: ConfigurationReader, _ path: [String]) throws(ConfigurationError) {
        var user = ""
        try reader.read(path + ["user"], into: &user, wanted: "a name without control characters") { name in
            !name.isEmpty && name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } ? name : nil
        }
        let named = SecretSource.keys.filter { reader.has(path + [$0.key]) }
        guard let first = named.first else { return try refuseLoginWithoutSecret(reader, path) }
        let names = SecretSource.keys.map(\.key).joined(separator: ", ")
        guard named.count == 1 else { throw reader.error(path + [named[1].key], "only one of \(names) may be there") }
        guard !user.isEmpty else { throw reader.error(path + [first.key], "needs user as well") }
        let place: SecretSource.Place =
            first.key == OAuthSettings.firstKey
            ? .endpoint(try OAuthSettings(reader, path, user: user))
            : .kept(try reader.privateFile(path + [first.key], isCredential: first.isCredential))
        var login = LoginSettings(user: user, secret: SecretSource(kind: first.kind, place: place))
        let mechanisms = SASLName.all(for: first.kind).map(\.key).joined(separator: ", ")
        try reader.read(path + ["auth"], into: &login.mechanism, wanted: "one of \(mechanisms)") { name in
            SASLName(key: name).flatMap { $0.kind == first.kind ? .some(.some($0)) : nil }
        }
        // RFC 8314 §3.3: a secret is shown to nobody but the server that it is meant for.
        guard tls.isVerified || Loopback.contains(host) else {
            let blamed = reader.has(path + ["tls"]) ? ["tls"] : ["user"]
            throw reader.error(
                path + blamed, "a login needs tls = \"required\" or \"implicit\", or a relay on this machine")
        }
        self.login = login
    }

    private func refuseLoginWithoutSecret(
        _ reader: ConfigurationReader, _ path: [String]
    ) throws(ConfigurationError) {
        let names = SecretSource.keys.map(\.key).joined(separator: ", ")
        let others = ConfigurationKeys.known(in: "relay").filter { $0.hasPrefix("oauth_") }
        if let key = others.first(where: { reader.has(path + [$0]) }) {
            throw reader.error(path + [key], "needs \(OAuthSettings.firstKey) as well")
        }
        for key in ["user", "auth"] where reader.has(path + [key]) {
            throw reader.error(path + [key], "needs one of \(names) as well")
        }
    }
}

extension SecretSource {
    /// The configuration's keys, one for each kind and place.
    static let keys: [(key: String, kind: Credential.Kind, isCredential: Bool)] = [
        ("password_file", .password, false), ("password_credential", .password, true),
        ("token_file", .token, false), ("token_credential", .token, true), (OAuthSettings.firstKey, .token, false),
    ]

    /// Keys and what they say, for comparing.
    var entries: [(String, String?)] {
        let prefix = kind == .password ? "password" : "token"
        return switch place {
        case .kept(let file): [("\(prefix)_\(file.place)", file.name)]
        case .endpoint(let endpoint): endpoint.entries
        }
    }
}

extension ConfigurationReader {
    func readPath(_ path: [String], into value: inout String?) throws(ConfigurationError) {
        try read(path, into: &value, wanted: "an absolute path") { $0.hasPrefix("/") ? .some(.some($0)) : nil }
    }

    /// Of a key that ends in `_file` or `_credential`: `secret` for `secret_file`; nil where neither is there.
    func privateFile(named name: String, in table: [String]) throws(ConfigurationError) -> PrivateFile? {
        let (file, credential) = (table + ["\(name)_file"], table + ["\(name)_credential"])
        guard has(file) || has(credential) else { return nil }
        guard !(has(file) && has(credential)) else { throw error(credential, "excludes \(name)_file") }
        return try privateFile(has(file) ? file : credential, isCredential: has(credential))
    }

    /// The value of a key that ends in `_file` or `_credential`.
    func privateFile(_ path: [String], isCredential: Bool) throws(ConfigurationError) -> PrivateFile {
        var name = ""
        guard isCredential else {
            try readPath(path, into: &name)
            return .file(name)
        }
        try read(path, into: &name, wanted: "the name of a systemd credential, without a slash") {
            PrivateFile.isCredentialName($0) ? $0 : nil
        }
        return .credential(name)
    }
}
