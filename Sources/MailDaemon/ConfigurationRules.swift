// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailJob

extension Configuration {
    /// What is possible, where it is not told by the value's own nature. Wide on purpose: they catch a mistaken unit
    /// or a slipped digit, they do not judge.
    enum Ranges {
        static let workers = 1...Limits.workersMax
        /// Below a kilobyte not even the smallest job fits; above a gigabyte a line is no mail.
        static let lineBytes = 1024...(1 << 30)
        static let readingBytes = 1024...(1 << 40)
        /// An empty database has some pages already.
        static let spoolBytes = (1 << 20)...(1 << 50)
        /// 0: not looked at.
        static let freeBytes = 0...(1 << 50)
        static let recipients = 1...100_000
        /// One relay's: each is a descriptor and a server's patience.
        static let relayConnections = 1...1024
        /// From one in a quarter of an hour to more than any relay takes.
        static let messagesPerSecond = 0.001...100_000.0
        /// A thousandth of another's share, or a thousand times as much.
        static let queueWeight = 0.001...1000.0
        static let million = 1_000_000
        static let billion = 1_000_000_000
        /// Seconds.
        static let hour = 3600.0
        static let day = 86_400.0
        static let year = 31_536_000.0
    }
}

extension ConfigurationReader {
    /// A typo must not be taken for a default: names are checked before any value is.
    func refuseUnknownKeys() throws(ConfigurationError) {
        for name in try names(in: []) ?? [] {
            guard ConfigurationKeys.sections.contains(name) else {
                try refuseUnknown([name], in: "")
                continue
            }
            if name == "route" || name == "dkim" {
                try refuseUnknownElementKeys(name)
                continue
            }
            for key in try names(in: [name]) ?? [] {
                if ["relay", "queue", "app"].contains(name) {
                    try refuseUnknownKeys(of: key, in: name, as: name)
                } else if ConfigurationKeys.tables["\(name).NAME"] != nil, isTable([name, key]) {
                    try refuseUnknownKeys(of: key, in: name, as: "\(name).NAME")
                } else {
                    try refuseUnknown([name, key], in: name)
                }
            }
        }
    }

    private func refuseUnknownElementKeys(_ name: String) throws(ConfigurationError) {
        for path in try tables(in: [name]) {
            for key in try names(in: path) ?? [] { try refuseUnknown(path + [key], in: name) }
        }
    }

    /// - Parameter table: as `ConfigurationKeys` calls it.
    private func refuseUnknownKeys(
        of name: String, in section: String, as table: String
    ) throws(ConfigurationError) {
        let path = [section, name]
        let allowed = name.utf8.allSatisfy { HostPort.isLetterOrDigit($0) || [0x2D, 0x2E, 0x5F].contains($0) }
        guard allowed, (1...63).contains(name.utf8.count) else {
            let whose = section == table ? "\(section == "app" ? "an" : "a") \(section)'s name" : "NAME in [\(table)]"
            throw error(path, "\(whose) has 1 to 63 letters, digits, hyphens, underscores or dots")
        }
        for key in try names(in: path) ?? [] {
            try refuseSecret(path + [key])
            try refuseUnknown(path + [key], in: table)
        }
    }

    /// A configuration is read by many and kept in repositories.
    private func refuseSecret(_ path: [String]) throws(ConfigurationError) {
        guard let name = path.last, let kind = Self.secrets["\(path[0]).\(name)"] else { return }
        let files = "\(kind)_file (a path) or \(kind)_credential (a systemd credential)"
        throw error(path, "no secret stands in this file, which others may read: use \(files)")
    }

    /// What people call a secret, and how its keys begin.
    private static let secrets = [
        "relay.password": "password", "relay.secret": "password", "relay.token": "token",
        "relay.oauth_client_secret": "oauth_client_secret", "relay.oauth_refresh_token": "oauth_refresh_token",
        "webhook.secret": "secret", "webhook.authorization": "authorization", "webhook.token": "authorization",
    ]

    private func refuseUnknown(_ path: [String], in table: String) throws(ConfigurationError) {
        guard let name = path.last, !ConfigurationKeys.known(in: table).contains(name) else { return }
        guard let meant = ConfigurationKeys.suggestion(for: name, in: table) else { throw error(path, "is unknown") }
        throw error(path, "is unknown; did you mean \(meant)?")
    }

    /// sun_path has 108 bytes, the last of them a NUL (unix(7)).
    func refuseLongSocket(_ name: String, _ path: String, _ stateDirectory: String?) throws(ConfigurationError) {
        guard has(["sockets", name]) || stateDirectory == nil else {
            guard let message = Self.complaint(ofSocket: path) else { return }
            throw ConfigurationError(file: "--state", message: message)
        }
        try refuseLongSocket(["sockets", name], path)
    }

    func refuseLongSocket(_ key: [String], _ path: String) throws(ConfigurationError) {
        if let message = Self.complaint(ofSocket: path) { throw error(key, message) }
    }

    private static func complaint(ofSocket path: String) -> String? {
        guard path.utf8.count > 107 else { return nil }
        return "\(path) has \(path.utf8.count) bytes; a socket's path has at most 107"
    }
}
