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

    @Flag(name: .customLong("check-spool"), help: "Look at the spool of a maild that does not run, and exit.")
    var checkSpool = false

    @Argument(help: "With --check-spool: the file, where it is not the configured one.")
    var spool: String?

    func validate() throws {
        if spool != nil, !checkSpool { throw ValidationError("a file is named for --check-spool alone") }
    }

    func run() throws {
        do throws(DaemonFailure) {
            if checkSpool {
                let daemon = Daemon(configurationPath: config, stateDirectory: state)
                // EX_DATAERR, where something is wrong.
                if try !daemon.inspectSpool(path: spool) { throw DaemonFailure(status: 65, description: "") }
                return
            }
            if let checkConfig { return try Daemon(configurationPath: checkConfig, stateDirectory: state).check() }
            try Daemon(configurationPath: config, stateDirectory: state).run()
        } catch {
            if !error.description.isEmpty { error.tell() }
            throw ExitCode(error.status)
        }
    }
}
