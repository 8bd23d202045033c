// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailConfiguration
import MailJob
import MailTransport

/// One `[relay.NAME]`: an SMTP server that takes mail from us.
package struct RelaySettings: Equatable, Sendable {
    /// Letters, digits, `-`, `_` and `.`; it is a metric's label and stands in the journal.
    package var name: String
    /// A domain name or an IP address without brackets; `localhost` where there is a socket; empty where mail goes to
    /// each domain's own servers.
    package var host: String
    package var isMX = false
    package var connectionsPerDomainMax = Limits.mxConnectionsPerDomainMax
    /// Loopback and private addresses may be connected to; with `isMX` alone.
    package var allowsPrivate = false
    package var port = 25
    /// Path of a Unix socket in place of host and port.
    package var socket: String?
    package var mailProtocol = MailProtocol.smtp
    /// Of `Capabilities.optional`, what is not used though the server offers it.
    package var ignoredExtensions: [String] = []
    package var connectionsMax = Limits.connectionsPerRelayMax
    package var messagesPerConnectionMax = Limits.messagesPerConnectionMax
    /// 0: QUIT as soon as nothing waits.
    package var idleSecondsMax = Double(Limits.idleSecondsMax)

    /// nil: as many as it takes.
    package var messagesPerSecond: Double?
    /// As `TLSPolicy.usual` has it where the file does not say.
    package var tls = TLSPolicy.required
    package var tlsFiles = TLSFiles()
    package var login: LoginSettings?

    package init(name: String, host: String) {
        self.name = name
        self.host = host
    }
}

extension RelaySettings {
    /// Where the server is, and what is spoken with it.
    mutating func readServer(_ reader: ConfigurationReader, _ path: [String]) throws(ConfigurationError) {
        let protocols = MailProtocol.allCases.map(\.rawValue).joined(separator: " or ")
        try reader.read(path + ["protocol"], into: &mailProtocol, wanted: protocols) { MailProtocol(rawValue: $0) }
        try reader.readPath(path + ["socket"], into: &socket)
        if let socket {
            for key in ["host", "port", "tls"] where reader.has(path + [key]) {
                throw reader.error(path + [key], "is of no use with socket, which leads to a server on this machine")
            }
            try reader.refuseLongSocket(path + ["socket"], socket)
            host = "localhost"
        }
        try reader.read(path + ["host"], into: &host, wanted: "a domain name or an IP address") {
            HostPort.isHost($0) ? $0 : nil
        }
        guard !host.isEmpty else {
            throw reader.error(path + ["host"], "is missing, and socket too; mx = true needs neither")
        }
        port = mailProtocol.usualPort
        try reader.read(path + ["port"], into: &port, 1...65535)
        // RFC 2033 §5.
        guard mailProtocol == .smtp || port != 25 else {
            throw reader.error(path + ["port"], "25 is SMTP's port, on which no LMTP may be spoken")
        }
        try readIgnoredExtensions(reader, path + ["ignore_extensions"])
    }

    private mutating func readIgnoredExtensions(
        _ reader: ConfigurationReader, _ path: [String]
    ) throws(ConfigurationError) {
        let known = Capabilities.optional
        let names = known.map { $0.lowercased() }.joined(separator: ", ")
        let found = try reader.strings(path, wanted: "one of \(names)") { known.contains($0.uppercased()) }
        ignoredExtensions = found?.map { $0.uppercased() } ?? []
    }
}
