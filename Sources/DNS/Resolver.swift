// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

/// Asks DNS without making anybody wait, and validates what it hears (libunbound). Its thread ends with it.
package final class Resolver: Sendable {
    /// A name without any answer is given up after so long: libunbound itself would go on for minutes.
    package static let secondsMax = 30.0

    private let desk: ResolverDesk

    /// - Parameter resolvConf: read where `settings` name no server.
    package init(_ settings: ResolverSettings, resolvConf: String = "/etc/resolv.conf") throws(ResolverError) {
        desk = try ResolverDesk(settings, resolvConf: resolvConf)
        do throws(ResolverError) {
            try ResolverThread.start(desk)
        } catch {
            desk.closeDescriptors()
            throw error
        }
    }

    deinit { desk.put { $0.isClosing = true } }

    /// On any thread. `done` is called once, on the resolver's thread, within `secondsMax`.
    package func ask(_ question: DNSQuestion, done: @escaping @Sendable (DNSAnswer) -> Void) {
        desk.put { $0.questions.append((question, done)) }
    }

    /// Whether any of the name servers says anything at all, found out by asking them directly; where none does, the
    /// trouble is ours and not a domain's. `done` is called once, on the resolver's thread, within seconds.
    package func checkServers(done: @escaping @Sendable (ServerCheck) -> Void) {
        desk.put { $0.checks.append(done) }
    }
}

/// Whether name servers answer.
package struct ServerCheck: Equatable, Sendable {
    package var isAnswered: Bool
    /// Who was asked, for people.
    package var servers: String

    package init(isAnswered: Bool, servers: String) {
        self.isAnswered = isAnswered
        self.servers = servers
    }
}
