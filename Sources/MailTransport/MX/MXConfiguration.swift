// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob

/// One `[relay.NAME]` with `mx = true`, as its transport needs it.
package struct MXConfiguration: Equatable, Sendable {
    package var name: String
    /// Our own name, said in EHLO.
    package var ehloName: String
    /// Of all servers: 25 but for tests.
    package var port = 25
    /// Open at a time, over all domains.
    package var connectionsMax = Limits.mxConnectionsMax
    /// Mails under way to one domain, each with a connection.
    package var connectionsPerDomainMax = Limits.mxConnectionsPerDomainMax
    package var messagesPerConnectionMax = Limits.mxMessagesPerConnectionMax
    package var idleSecondsMax = Limits.idleSecondsMax
    /// For all addresses of one host together.
    package var connectSecondsMax = 15
    package var tls = TLSPolicy.opportunistic
    package var tlsFiles = TLSFiles()
    /// Loopback and private addresses may be connected to.
    package var allowsPrivate = false

    /// Mail that was sent away while its session was sought comes for it within this time.
    package static let idleSecondsMin = 20.0

    package init(name: String, ehloName: String) {
        self.name = name
        self.ehloName = ehloName
    }

    /// Of any host, for what does not depend on which.
    package var template: RelayConfiguration { relay(to: "", tls: tls) }

    /// What one host gets.
    func relay(to host: String, tls: TLSPolicy) -> RelayConfiguration {
        var relay = RelayConfiguration(name: name, host: host, port: port, ehloName: ehloName)
        // A large host has many domains' mail, and a share of all connections.
        relay.connectionsMax = max(connectionsPerDomainMax, connectionsMax / 4)
        relay.messagesPerConnectionMax = messagesPerConnectionMax
        relay.idleSecondsMax = idleSecondsMax
        relay.connectSecondsMax = connectSecondsMax
        relay.tls = tls
        relay.tlsFiles = tlsFiles
        return relay
    }
}
