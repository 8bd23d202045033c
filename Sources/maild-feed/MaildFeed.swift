// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailFeed
import MailJob

@main
struct MaildFeed: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "maild-feed", abstract: "Takes jobs from Redis, RabbitMQ or Kafka and hands them to maild.",
        version: Version.text)

    @Argument(help: "The feed: its configuration is /etc/maild/feeds/NAME.toml.")
    var name: String

    @Option(help: "Configuration file in place of that one.")
    var config: String?

    @Option(name: .customLong("run"), help: "Directory of the socket by which mailctl asks how the feed fares.")
    var statusDirectory = "/run/maild-feed"

    @Flag(name: .customLong("check-config"), help: "Check the file, say what is wrong with it, and exit.")
    var checkConfig = false

    func run() throws {
        let daemon = FeedDaemon(
            name: name, configurationPath: config, statusDirectory: statusDirectory, kinds: FeedKinds.all)
        do throws(FeedFailure) {
            if checkConfig { return try daemon.check() }
            try daemon.run()
        } catch {
            error.tell()
            throw ExitCode(error.status)
        }
    }
}
