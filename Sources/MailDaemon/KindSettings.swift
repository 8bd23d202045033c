// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailJob
import MailTransport

// The tables of the kinds beside e-mail. A table that is there, empty or not, brings its kind about.

extension Configuration {
    mutating func readKinds(_ reader: ConfigurationReader) throws(ConfigurationError) {
        webhook = reader.has(["webhook"]) ? try WebhookSettings(reader) : nil
        exec = reader.has(["exec"]) ? try ExecSettings(reader) : nil
        var hasNoop = false
        try reader.read(["noop", "enabled"], into: &hasNoop)
        noop = hasNoop ? NoopSettings() : nil
    }

    /// For comparing.
    var kindEntries: [(String, String)] {
        var entries: [(String, String)] = webhook?.entries ?? []
        entries += exec?.entries ?? []
        if noop != nil { entries.append(("noop.enabled", "true")) }
        return entries
    }
}

extension WebhookSettings {
    init(_ reader: ConfigurationReader) throws(ConfigurationError) {
        self.init()
        let table = ["webhook"]
        var allowsPrivate = false
        try reader.read(table + ["allow_private"], into: &allowsPrivate)
        client.policy = allowsPrivate ? .anywhere : .publicOnly
        let hour = Configuration.Ranges.hour
        try reader.read(table + ["connect_seconds_max"], into: &client.connectSecondsMax, 0.1...hour)
        try reader.read(table + ["seconds_max"], into: &client.secondsMax, 0.1...hour)
        concurrencyMax = try reader.count(table + ["concurrency_max"])
        try reader.readPath(table + ["tls_roots"], into: &tlsRoots)
        for name in try (reader.names(in: table) ?? []).sorted() where reader.isTable(table + [name]) {
            hooks.append(try HookSettings(reader, name))
        }
    }

    fileprivate var entries: [(String, String)] {
        var entries = [
            ("webhook.allow_private", "\(client.policy == .anywhere)"),
            ("webhook.connect_seconds_max", "\(client.connectSecondsMax)"),
            ("webhook.seconds_max", "\(client.secondsMax)"),
        ]
        if let concurrencyMax { entries.append(("webhook.concurrency_max", "\(concurrencyMax)")) }
        if let tlsRoots { entries.append(("webhook.tls_roots", tlsRoots)) }
        return entries + hooks.map { ("webhook.\($0.name)", "\($0) \($0.target)") }
    }
}

extension HookSettings {
    /// Of a URL that the file names; as text it shows no more than its origin.
    fileprivate var target: String {
        if case .url(let url) = address { url.target } else { "" }
    }

    fileprivate init(_ reader: ConfigurationReader, _ name: String) throws(ConfigurationError) {
        let table = ["webhook", name]
        let kept = try reader.privateFile(named: "url", in: table)
        let url = try reader.url(table + ["url"])
        guard kept == nil || url == nil else {
            throw reader.error(table + ["url"], "excludes url_file and url_credential")
        }
        guard let address = url.map(Address.url) ?? kept.map(Address.kept) else {
            throw reader.error(table + ["url"], "is missing, and url_file and url_credential too: one is needed")
        }
        self.init(name: name, address: address)
        try reader.read(table + ["allow_private"], into: &allowsPrivate)
        secret = try reader.privateFile(named: "secret", in: table)
        authorization = try reader.privateFile(named: "authorization", in: table)
        let signatures = HookSignature.allCases.map(\.rawValue).joined(separator: ", ")
        try reader.read(table + ["signature"], into: &signature, wanted: "one of \(signatures)") {
            HookSignature(rawValue: $0)
        }
        guard secret != nil || !reader.has(table + ["signature"]) else {
            throw reader.error(table + ["signature"], "needs secret_file or secret_credential as well")
        }
    }
}

extension ConfigurationReader {
    /// nil where the key is not there.
    func url(_ path: [String]) throws(ConfigurationError) -> WebURL? {
        var text = ""
        try read(path, into: &text, wanted: "a URL") { $0 }
        guard has(path) else { return nil }
        do throws(WebURLError) {
            return try WebURL(parsing: text)
        } catch {
            throw self.error(path, error.reason)
        }
    }

    /// How many at a time; nil where the key is not there.
    func count(_ path: [String]) throws(ConfigurationError) -> Int? {
        guard has(path) else { return nil }
        var count = 1
        try read(path, into: &count, Configuration.Ranges.workers)
        return count
    }
}
