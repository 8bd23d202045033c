// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import MailTransport
import NIOCore
import NIOPosix

/// Tries relays for `mailctl check`, any that the configuration has, whether mail takes them or not. Lives on the
/// delivery loop.
final class RelayChecks {
    /// As of the last reload.
    var configuration: Configuration
    private let vault: TokenVault
    private let loop: any EventLoop

    init(_ configuration: Configuration, _ vault: TokenVault, on loop: any EventLoop) {
        self.configuration = configuration
        self.vault = vault
        self.loop = loop
    }

    /// `done` gets nil where there is no relay of this name.
    func check(_ name: String, done: @escaping (CheckReport?) -> Void) {
        guard let settings = configuration.relays.first(where: { $0.name == name }) else { return done(nil) }
        let relay = RelayConfiguration(settings, ehloName: configuration.hostname)
        let tokens = vault.known(for: settings)
        guard relay.tls != .off else { return RelayCheck(relay, loop: loop, tokens: tokens).run(done: done) }
        // The system's roots are a file of some size, and nothing else waits for this one.
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) { try RelayTLS(relay) }
            .assumeIsolated().whenComplete { [loop] result in
                switch result {
                case .success(let encryption):
                    RelayCheck(relay, loop: loop, encryption: encryption, tokens: tokens).run(done: done)
                case .failure(let error): done(.unreadable(relay, "\(error)"))
                }
            }
    }
}

extension CheckReport {
    /// A file of the relay's TLS was good when the configuration was read, and is not any more.
    fileprivate static func unreadable(_ relay: RelayConfiguration, _ reason: String) -> CheckReport {
        var report = CheckReport(
            relay: relay.name, transport: relay.mailProtocol.rawValue, address: relay.address)
        report.findings = [Finding(step: .tls, isOK: false, text: reason)]
        return report
    }
}
