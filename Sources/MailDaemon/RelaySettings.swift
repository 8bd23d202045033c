// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailJob
import MailTransport

/// One `[relay.NAME]`: an SMTP server that takes mail from us.
package struct RelaySettings: Equatable, Sendable {
    /// Letters, digits, `-`, `_` and `.`; it is a metric's label and stands in the journal.
    package var name: String
    /// A domain name or an IP address without brackets; empty where mail goes to each domain's own servers.
    package var host: String
    package var isMX = false
    package var connectionsPerDomainMax = Limits.mxConnectionsPerDomainMax
    /// Loopback and private addresses may be connected to; with `isMX` alone.
    package var allowsPrivate = false
    package var port = 25
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
