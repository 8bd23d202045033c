// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailWire

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Try a relay as it is configured; sends nothing.",
        discussion: """
            Connects, greets, encrypts and logs in as mail would, then says goodbye. Exit status: 0 the relay would \
            take mail; 65 there is no such relay; 69 no connection, or the server refuses to talk; 76 no TLS as it is \
            demanded; 77 the login is refused.
            """)

    @Argument(help: ArgumentHelp("The relay's name in the configuration.", valueName: "relay"))
    var relay: String

    @OptionGroup var common: CommonOptions

    /// maild gives up after a minute.
    private static let answerSecondsMax = 90.0

    mutating func run() throws {
        var client = try ControlClient(common, answerSecondsMax: Self.answerSecondsMax)
        let reply = try client.call("Check", ["relay": .string(relay)])
        var screen = Screen()
        if common.json {
            try screen.document(reply)
        } else {
            try CheckPage(reply).show(on: &screen)
        }
        try screen.flush()
        if let status = CheckPage.status(of: reply) { throw Failure(status, nil) }
    }
}
