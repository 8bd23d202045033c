// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailDaemon
import MailJob

@main
struct Maild: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "maild", abstract: "Takes mail jobs on a Unix socket, keeps them on disk, and delivers them.",
        version: Version.text)

    @Option(help: "Configuration file (default: /etc/maild/maild.toml, if there is one).")
    var config: String?

    @Option(help: "Directory for spool, Maildir and sockets in place of the system's.")
    var state: String?

    @Option(name: .customLong("check-config"), help: "Check this file, say what is wrong with it, and exit.")
    var checkConfig: String?

    func run() throws {
        do throws(DaemonFailure) {
            if let checkConfig { return try Daemon(configurationPath: checkConfig, stateDirectory: state).check() }
            try Daemon(configurationPath: config, stateDirectory: state).run()
        } catch {
            error.tell()
            throw ExitCode(error.status)
        }
    }
}
