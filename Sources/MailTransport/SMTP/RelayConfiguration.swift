// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// One `[relay.NAME]` as the pool needs it.
package struct RelayConfiguration: Equatable, Sendable {
    package var name: String
    /// A host name, or an IPv4 or IPv6 address without brackets; `localhost` where there is a `socket`.
    package var host: String
    package var port: Int
    /// Path of a Unix socket in place of host and port.
    package var socket: String?
    package var mailProtocol = MailProtocol.smtp
    /// Our own name, said in EHLO.
    package var ehloName: String
    package var connectionsMax = Limits.connectionsPerRelayMax
    package var messagesPerConnectionMax = Limits.messagesPerConnectionMax
    package var idleSecondsMax = Limits.idleSecondsMax
    /// For name resolution and all of the host's addresses together.
    package var connectSecondsMax = 30
    /// Octets of a message in one BDAT.
    package var chunkBytesMax = Limits.chunkBytesMax
    /// Of `Capabilities.optional`, what is not used although the server offers it.
    package var ignoredExtensions: [String] = []
    package var tls = TLSPolicy.off
    package var tlsFiles = TLSFiles()
    /// nil: the relay takes mail from us without.
    package var login: LoginSettings?

    package init(name: String, host: String, port: Int, ehloName: String) {
        self.name = name
        self.host = host
        self.port = port
        self.ehloName = ehloName
    }

    /// host:port, or the socket's path: for people.
    package var address: String {
        if let socket { return socket }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
