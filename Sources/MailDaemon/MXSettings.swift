// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import DNS
import MailConfiguration
import MailJob
import MailTransport

// A `[relay.NAME]` with `mx = true`: no server of its own, but each recipient domain's.

extension RelaySettings {
    /// What names one server, or logs in to it.
    private static let keysOfOneServer = [
        "host", "tls_certificate", "tls_key", "user", "password_file", "password_credential", "token_file",
        "token_credential", "auth", "protocol", "socket", "ignore_extensions", "oauth_token_url", "oauth_client_id",
        "oauth_client_secret_file", "oauth_client_secret_credential", "oauth_refresh_token_file",
        "oauth_refresh_token_credential", "oauth_scope", "oauth_tls_roots",
    ]
    private static let keysOfMX = ["connections_per_domain_max", "private_addresses"]

    mutating func readMX(_ reader: ConfigurationReader, _ path: [String]) throws(ConfigurationError) {
        try reader.read(path + ["mx"], into: &isMX)
        guard isMX else {
            for key in Self.keysOfMX where reader.has(path + [key]) {
                throw reader.error(path + [key], "is of use with mx = true alone")
            }
            return
        }
        for key in Self.keysOfOneServer where reader.has(path + [key]) {
            throw reader.error(path + [key], "is of no use with mx = true: the mail goes to each domain's own servers")
        }
        connectionsMax = Limits.mxConnectionsMax
        messagesPerConnectionMax = Limits.mxMessagesPerConnectionMax
        try reader.read(path + ["port"], into: &port, 1...65535)
        let key = path + ["connections_per_domain_max"]
        try reader.read(key, into: &connectionsPerDomainMax, Configuration.Ranges.relayConnections)
        try reader.read(path + ["private_addresses"], into: &allowsPrivate)
    }

    /// After the keys that all relays have.
    func checkMX(_ reader: ConfigurationReader, _ path: [String]) throws(ConfigurationError) {
        guard isMX else { return }
        guard tls != .implicit else {
            throw reader.error(path + ["tls"], "servers that take mail by MX know STARTTLS alone, not \"implicit\"")
        }
        guard idleSecondsMax >= MXConfiguration.idleSecondsMin else {
            let least = Int(MXConfiguration.idleSecondsMin)
            throw reader.error(
                path + ["idle_seconds_max"], "must be \(least) at least with mx = true: mail comes back for its session"
            )
        }
        guard connectionsPerDomainMax <= connectionsMax else {
            let blamed = reader.has(path + ["connections_max"]) ? "connections_max" : "connections_per_domain_max"
            throw reader.error(path + [blamed], "connections_max must not be below connections_per_domain_max")
        }
    }
}

extension MXConfiguration {
    init(_ settings: RelaySettings, ehloName: String) {
        self.init(name: settings.name, ehloName: ehloName)
        port = settings.port
        connectionsMax = settings.connectionsMax
        connectionsPerDomainMax = settings.connectionsPerDomainMax
        messagesPerConnectionMax = settings.messagesPerConnectionMax
        idleSecondsMax = Int(settings.idleSecondsMax)
        tls = settings.tls
        tlsFiles = settings.tlsFiles
        allowsPrivate = settings.allowsPrivate
    }
}

extension Configuration {
    /// The table `[dns]`.
    mutating func readDNS(_ reader: ConfigurationReader) throws(ConfigurationError) {
        let wanted = "an IP address, with a port where it is not 53: 192.0.2.53, 127.0.0.1:5353 or [2001:db8::53]:5353"
        let names = try reader.strings(["dns", "servers"], wanted: wanted) { NameServer($0) != nil }
        dns.servers = names?.compactMap { NameServer($0) } ?? []
        let kinds = ResolverSettings.Validation.allCases.map(\.rawValue).joined(separator: ", ")
        try reader.read(["dns", "dnssec"], into: &dns.validation, wanted: "one of \(kinds)") {
            ResolverSettings.Validation(rawValue: $0)
        }
        try reader.readPath(["dns", "trust_anchor"], into: &dns.trustAnchor)
        guard dns.validation != .off || dns.trustAnchor == nil else {
            throw reader.error(["dns", "trust_anchor"], "is of no use with dnssec = \"off\"")
        }
        guard dns.validation != .required || dns.hasAnchor else {
            throw reader.error(
                ["dns", "dnssec"],
                "needs a trust anchor: install dns-root-data (\(ResolverSettings.rootAnchor)) or set trust_anchor")
        }
    }
}
