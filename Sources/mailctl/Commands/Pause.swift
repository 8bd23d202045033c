// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailWire

struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Begin no more jobs; those in hand are finished, and new ones are still accepted.",
        discussion: "Lasts until `mailctl resume`, over restarts of maild too.")

    @Option(help: "One queue alone.") var queue: String?
    @OptionGroup var common: CommonOptions

    mutating func run() throws {
        var client = try ControlClient(common)
        let reply = try client.call("Pause", queue.map { ["queue": .string($0)] } ?? [:])
        var screen = Screen()
        if common.json {
            try screen.document(reply)
        } else {
            try screen.line(reply["was_paused"]?.bool == true ? "paused already" : "paused")
        }
        try screen.flush()
    }
}
